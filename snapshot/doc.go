// Package snapshot holds the file layout of a snapshot: how one is written so
// that a crash at any moment leaves either the old set or the new one, how it is
// checked, and how it travels to another node as one stream of bytes. It knows
// nothing of the log that decides when a snapshot is taken and which one is
// restored.
//
// # Layout
//
//	<dir>/                          the store
//	  <term>-<index>-<ms>/          one snapshot; ms: creation, Unix milliseconds
//	    MANIFEST                    what follows, with sizes and checksums
//	    <section>                   a named file, written through the Writer
//	    <directory>/…               a named directory, filled by the caller
//	  <term>-<index>-<ms>.tmp/      being written, or left over from a crash
//	  <term>-<index>-<ms>.damaged/  set aside by Quarantine, for the operator
//
// The manifest is JSON, followed by one line with the CRC-32C of all bytes
// before it:
//
//	{
//	  "format": 1, "term": 3, "index": 4096, "created_ms": 1700000000000,
//	  "configuration": { … opaque to this package … },
//	  "directories": ["history"],
//	  "files": [ {"name": "models", "size": 812, "crc32c": 305419896}, … ]
//	}
//	crc32c 9ae0daaf
//
// # Stream
//
//	magic      8 bytes   "PRAETORS"
//	version    1 byte    1
//	length     4 bytes   of the manifest, little endian
//	manifest             as on disk, its checksum line included
//	contents             of the manifest's files, back to back, in its order
//	end        8 bytes   "PRAETORE"
package snapshot
