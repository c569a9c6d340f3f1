package decisionlog

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/parquet-go/parquet-go"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/jsontext"
)

// parquetRow is a record of either type in a Parquet file: an optional column is
// null where the record's type does not have it. Features are JSON: their names
// are the clients'.
type parquetRow struct {
	Type           string             `parquet:"type,dict"`
	DecisionID     string             `parquet:"decisionId"`
	At             int64              `parquet:"at,timestamp(millisecond)"`
	Node           string             `parquet:"node,dict"`
	ModelID        string             `parquet:"modelId,optional,dict"`
	CustomerID     string             `parquet:"customerId,optional"`
	Route          string             `parquet:"route,optional,dict"`
	ModelKey       string             `parquet:"modelKey,optional,dict"`
	ModelType      string             `parquet:"modelType,optional,dict"`
	ModelVersion   int64              `parquet:"version,optional"`
	Family         string             `parquet:"family,optional,dict"`
	Variant        string             `parquet:"variant,optional,dict"`
	ExperimentID   string             `parquet:"experimentId,optional,dict"`
	SamplePct      float64            `parquet:"samplePct,optional"`
	Features       string             `parquet:"features,optional"`
	Candidates     []parquetCandidate `parquet:"candidates,list"`
	Choice         *string            `parquet:"choice,optional,dict"`
	Propensity     *float64           `parquet:"propensity,optional"`
	Degraded       bool               `parquet:"degraded"`
	InteractionID  string             `parquet:"interactionId,optional"`
	OfferID        string             `parquet:"offerId,optional,dict"`
	ChannelID      string             `parquet:"channelId,optional,dict"`
	Outcome        string             `parquet:"outcome,optional,dict"`
	Classification string             `parquet:"classification,optional,dict"`
	Value          *float64           `parquet:"conversionValue,optional"`
}

type parquetCandidate struct {
	OfferID       string   `parquet:"offerId,dict"`
	Score         float64  `parquet:"score"`
	ModelScore    *float64 `parquet:"modelScore,optional"`
	Propensity    *float64 `parquet:"propensity,optional"`
	Features      string   `parquet:"features,optional"`
	Impressions   int64    `parquet:"impressions"`
	Positives     int64    `parquet:"positives"`
	Negatives     int64    `parquet:"negatives"`
	LastContactAt int64    `parquet:"lastContactAt,timestamp(millisecond)"`
}

// rowOf makes a row of a record.
func rowOf(r *Record) parquetRow {
	row := parquetRow{
		Type: r.Type, DecisionID: r.DecisionID, At: int64(r.At), Node: r.Node, ModelID: r.ModelID, CustomerID: r.CustomerID,
		Route: r.Route, ModelKey: r.ModelKey, ModelType: string(r.ModelType), ModelVersion: int64(r.ModelVersion), Family: r.Family,
		Variant: r.Variant, ExperimentID: r.ExperimentID, SamplePct: r.SamplePct, Features: r.Features.text(),
		Choice: r.Choice, Propensity: r.Propensity, Degraded: r.Degraded, InteractionID: r.InteractionID, OfferID: r.OfferID,
		ChannelID: r.ChannelID, Outcome: r.Outcome, Classification: r.Classification, Value: r.ConversionValue,
	}
	for i := range r.Candidates {
		c := &r.Candidates[i]
		h := c.History.Summary()
		row.Candidates = append(row.Candidates, parquetCandidate{
			OfferID: c.OfferID, Score: c.Score, ModelScore: c.ModelScore, Propensity: c.Propensity, Features: c.Features.text(),
			Impressions: int64(h.Impressions), Positives: int64(h.Positives), Negatives: int64(h.Negatives), LastContactAt: h.LastContactAt,
		})
	}
	return row
}

func (f Features) text() string {
	if len(f) == 0 {
		return ""
	}
	return string(jsontext.AppendRow(nil, decision.Row(f)))
}

func readFeatures(text string) (f Features, err error) {
	if text != "" {
		err = json.Unmarshal([]byte(text), &f)
	}
	return f, err
}

// record makes a record of a row.
func (row *parquetRow) record() (*Record, error) {
	r := &Record{
		Type: row.Type, Version: recordVersion, DecisionID: row.DecisionID, At: decision.Time(row.At), Node: row.Node, ModelID: row.ModelID,
		CustomerID: row.CustomerID, Route: row.Route, ModelKey: row.ModelKey, ModelType: decision.ModelType(row.ModelType),
		ModelVersion: uint64(row.ModelVersion), Family: row.Family, Variant: row.Variant, ExperimentID: row.ExperimentID,
		SamplePct: row.SamplePct, Choice: row.Choice, Propensity: row.Propensity, Degraded: row.Degraded,
		InteractionID: row.InteractionID, OfferID: row.OfferID, ChannelID: row.ChannelID, Outcome: row.Outcome,
		Classification: row.Classification, ConversionValue: row.Value,
	}
	var err error
	if r.Features, err = readFeatures(row.Features); err != nil {
		return nil, err
	}
	for i := range row.Candidates {
		p := &row.Candidates[i]
		c := CandidateRecord{OfferID: p.OfferID, Score: p.Score, ModelScore: p.ModelScore, Propensity: p.Propensity}
		if c.Features, err = readFeatures(p.Features); err != nil {
			return nil, err
		}
		if p.LastContactAt != 0 {
			c.History = &HistoryRecord{uint32(p.Impressions), uint32(p.Positives), uint32(p.Negatives), decision.Time(p.LastContactAt)}
		}
		r.Candidates = append(r.Candidates, c)
	}
	return r, r.check()
}

// groupRows is how many rows the writer keeps in memory before it writes them as
// a group.
const groupRows = 20_000

// convert makes a Parquet file of a file of lines and removes that.
func convert(lines, done string) (err error) {
	in, err := os.Open(lines)
	if err != nil {
		return err
	}
	defer in.Close()
	temp := done + endTemp
	out, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = out.Close()
			_ = os.Remove(temp)
		}
	}()
	buffered := bufio.NewWriterSize(out, 1<<20)
	w := parquet.NewGenericWriter[parquetRow](buffered, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(groupRows))
	if _, err = readLines(in, func(r *Record) error {
		_, err := w.Write([]parquetRow{rowOf(r)})
		return err
	}); err != nil {
		return err
	}
	if err = errors.Join(w.Close(), buffered.Flush(), out.Sync(), out.Close()); err != nil {
		return err
	}
	if err = os.Rename(temp, done); err != nil {
		return err
	}
	return os.Remove(lines)
}

// readParquet reads a file of rows. The library panics on files that are not what
// they claim to be: such a panic is an error.
func readParquet(in io.ReaderAt, size int64, f func(*Record) error) (read Read, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("this is no Parquet file of decisions: %v", p)
		}
	}()
	file, err := parquet.OpenFile(in, size)
	if err != nil {
		return read, err
	}
	if _, ok := file.Schema().Lookup("decisionId"); !ok {
		return read, errors.New("it has no column decisionId")
	}
	if n := file.NumRows(); n < 0 || n > size {
		return read, fmt.Errorf("it claims %d rows in %d bytes", n, size)
	}
	rows := parquet.NewGenericReader[parquetRow](file)
	defer rows.Close()
	batch := make([]parquetRow, 64)
	for {
		clear(batch)
		n, err := rows.Read(batch)
		for i := range batch[:n] {
			r, bad := batch[i].record()
			if bad != nil {
				read.Bad++
				continue
			}
			read.Records++
			if err := f(r); err != nil {
				return read, err
			}
		}
		if errors.Is(err, io.EOF) {
			return read, nil
		}
		if err == nil && n == 0 {
			err = io.ErrNoProgress
		}
		if err != nil {
			return read, err
		}
	}
}
