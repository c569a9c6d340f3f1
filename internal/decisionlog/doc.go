// Package decisionlog keeps what a node decided, for evaluation later: files of
// decisions with their candidates, the choice and its probability, and of the
// outcomes that name them.
//
// # Records
//
// A record is a JSON object on a line of its own. A decision:
//
//	type          "decision"
//	v             1
//	decisionId    names it; outcomes carry it
//	at            RFC 3339
//	node, route   who served it, and by which route: score, score-offer-set, score-batch
//	modelId, modelKey, modelType, version, family
//	variant, experimentId   where an experiment decided for the model
//	customerId
//	samplePct     the percentage of the decisions that are logged
//	features      {name: number, text, boolean or array of texts}: what all candidates share
//	candidates    [{offerId, score, modelScore, propensity, features, history}] in the
//	              order of the request; features are a candidate's own and win,
//	              history is the customer's with the offer
//	choice        an offerId of these; null where the engine did not choose
//	propensity    with which the choice was chosen; null where that is not known
//	degraded      true where an endpoint did not answer
//
// An outcome:
//
//	type          "outcome"
//	v             1
//	decisionId, at, node, interactionId, customerId, offerId, modelId, channelId,
//	outcome, classification, conversionValue
//
// A member without a value is left out, but for choice and propensity. A later
// release may add members; a reader ignores what it does not know.
//
// # Files
//
// Each tenant has a directory, each format one file that grows:
//
//	<dir>/<tenant>/decisions-<node>-<time>-<number>.ndjson.open     grows
//	<dir>/<tenant>/decisions-<node>-<time>-<number>.ndjson          complete
//	<dir>/<tenant>/decisions-<node>-<time>-<number>.parquet.open    grows; NDJSON
//	<dir>/<tenant>/decisions-<node>-<time>-<number>.parquet         complete
//
// A Parquet file has its directory at its end and cannot be read before; so the
// records are written as lines in any case, and a file that is complete is made a
// Parquet file then. What a crash leaves open is completed at the next start: an
// incomplete last line is cut off. Between the renaming of a Parquet file and the
// removal of its lines both are there; a reader that counts a decision once by its
// id, an outcome once by its interactionId, sees no difference.
//
// # Bounds
//
// Append copies a record to memory of a fixed size and never waits; what finds no
// room is dropped and counted. One goroutine writes, every FlushInterval. A crash of
// the process loses what was not written, of the machine what the system had not
// brought to the disk; a file is synced when it is complete. Beyond TotalBytes the
// oldest complete files are deleted, and counted.
package decisionlog
