// Package postgres is a source of observations in a PostgreSQL database: an
// organization's metrics are queries, of which one gives exposures and one rewards.
//
// Both run in one read-only transaction of the isolation level repeatable read, so
// they see one state of the database, and are read through cursors a part at a time.
// A query is put into parentheses and sorted from outside:
//
//	SELECT m.* FROM (‹the query›) AS m ORDER BY (m.anonymous_id)::text COLLATE "C", m.timestamp
//
// so that it can be nothing but one SELECT. @start_date and @optimization_id in it
// are parameters of the protocol and never part of its text.
//
// What bounds a reading: a time for all of it, the same for each statement in the
// database, a time to wait for locks, the rows, the bytes of a row. Connections go to
// addresses that the rules of package endpoint permit, with TLS unless the server
// permits none; no environment variable and no file of this machine says how.
package postgres
