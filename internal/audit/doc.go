// Package audit chains the entries of a tenant's audit log, so that a changed,
// removed or inserted one is found.
//
// # The chain
//
// Every entry has the integrity hash of the one before it, the first one 32 bytes
// of 0, and its own:
//
//	integrityHash = SHA-256(canonical form)
//
// Hashes are shown as 64 lower-case hexadecimal digits. The chain's head, the hash
// of the newest entry, and its length are kept beside the entries: an entry that
// is missing at the end is found by them. Where old entries are dropped, the hash
// of the last one dropped is kept as the anchor that the first one left must name.
//
// # The canonical form
//
// It is the text
//
//	praetor audit 1\n
//
// followed by thirteen fields as netstrings, that is the length in bytes in
// decimal digits, a colon, the bytes, a comma:
//
//	 1 prevHash     64 hexadecimal digits
//	 2 id
//	 3 tenantId
//	 4 timestamp    RFC 3339 in UTC with three decimals and Z, as the API shows it
//	 5 actor
//	 6 keyId
//	 7 requestId
//	 8 action
//	 9 entityType
//	10 entityId
//	11 entityName
//	12 before       JSON canonicalised by RFC 8785; null where there is nothing
//	13 after        the same
//
// Texts are UTF-8, an absent one is empty. An entry without an actor whose prevHash
// is that of an empty chain thus begins
//
//	praetor audit 1\n64:00…00,5:aud_1,4:bank,24:2026-03-14T06:00:00.000Z,0:,
//
// RFC 8785 sorts the members of objects by the UTF-16 code units of their names,
// writes numbers as ECMAScript does, escapes in strings only what must be, and
// puts no space anywhere. So what a client computes from the JSON that it was
// shown is what was hashed, whatever its library does to the text.
//
// testdata/chain.py computes the same from this description alone.
package audit
