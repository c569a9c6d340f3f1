package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
	"github.com/praetor-engine/praetor/internal/jsontext"
)

// maxBatchRows is how many rows one JSON body may have; a stream of lines has
// no such bound.
const maxBatchRows = 10_000

func (s *Server) scoreBatch(rq *request) error {
	sc, err := s.engine.Scorer(rq.tenant(), rq.params[0])
	sc.RequestID = rq.id
	if rq.ndjson {
		if err != nil {
			return err
		}
		rq.contentType = mediaNDJSON
		rq.replyStream = &batchStream{rq: rq, scorer: sc, lines: bufio.NewReaderSize(&rq.stream, firstRead)}
		return nil
	}
	return s.scoreRows(rq, sc, err)
}

// scoreRows scores the rows of a JSON body as it reads them; scorerErr is told
// only when the body is in order.
func (s *Server) scoreRows(rq *request, sc engine.Scorer, scorerErr error) error {
	if err := rq.beginBody(); err != nil {
		return err
	}
	// A model's endpoint may be slow with every row: what it has not scored by
	// then has the fallback.
	ctx, cancel := context.WithTimeout(rq.ctx, s.cfg.WriteTimeout)
	defer cancel()
	rq.ctx = ctx
	count := 0
	var results []byte
	if rq.enterObject() {
		for rq.nextField() {
			if rq.key != "rows" {
				rq.unknown()
				continue
			}
			results, count = rq.batchRows(sc, scorerErr == nil)
		}
		rq.need("rows")
	}
	if err := rq.decoder.err(); err != nil {
		return err
	}
	if scorerErr != nil {
		return scorerErr
	}
	dst := jsontext.AppendString(append(rq.out, `{"modelId":`...), sc.Model().ID)
	dst = jsontext.AppendCount(dst, "count", count)
	dst = append(append(dst, `,"results":[`...), results...)
	rq.out = append(dst, "]}\n"...)
	return nil
}

// batchRows reads the array of rows and scores each, unless the model cannot
// be scored or the body turned out to be wrong.
func (rq *request) batchRows(sc engine.Scorer, scorable bool) (results []byte, count int) {
	if !rq.enterArray() {
		return nil, 0
	}
	for rq.nextItem(maxBatchRows) {
		customer, row := rq.batchRow()
		if scorable && !rq.failed {
			if count > 0 {
				results = append(results, ',')
			}
			results = rq.appendBatchScore(results, sc, count, customer, row)
		}
		count++
		// What the row took is free for the next one.
		rq.rows, rq.names, rq.unquote = rq.rows[:0], rq.names[:0], rq.unquote[:0]
	}
	if count == 0 && !rq.failed {
		rq.wrongf("must have 1 to %d items, got 0", maxBatchRows)
	}
	return results, count
}

// batchRow reads one row of a batch.
func (rq *request) batchRow() (customer string, row decision.Row) {
	rq.score.decisionID = ""
	if !rq.enterObject() {
		return "", nil
	}
	for rq.nextField() {
		switch rq.key {
		case "customerId":
			customer = rq.optionalStr(maxName)
		case "decisionId":
			rq.score.decisionID = rq.optionalStr(maxName)
		case "attributes":
			row = rq.row()
		default:
			rq.unknown()
		}
	}
	return customer, row
}

// appendBatchScore scores one row and appends its result.
func (rq *request) appendBatchScore(dst []byte, sc engine.Scorer, index int, customer string, row decision.Row) []byte {
	mem := &rq.score
	req := &mem.request
	req.Row, req.CustomerID, req.OfferID, req.Explain, req.Rand = row, customer, "", false, rq.rng
	var best int
	at := decision.TimeOf(rq.server.now())
	mem.arms, best = sc.Score(rq.ctx, req, at, &mem.scratch, &mem.result, mem.arms[:0])
	sc.Serve(rq.nameDecision(&sc, customer), customer, "", at, mem.result.Score, mem.arms, best)
	sc.LogScore(engine.RouteBatch, mem.decisionID, at, req, &mem.result, mem.arms, best, &mem.scratch)
	dst = strconv.AppendInt(append(dst, `{"index":`...), int64(index), 10)
	if customer != "" {
		dst = jsontext.AppendText(dst, "customerId", customer)
	}
	dst = appendScoreFields(append(dst, ','), sc.Model().ModelType, &mem.result)
	if best >= 0 {
		dst = jsontext.AppendText(dst, "offerId", mem.arms[best].OfferID)
		dst = jsontext.AppendNumber(dst, "propensity", mem.arms[best].Propensity)
	}
	if mem.decisionID != "" {
		dst = jsontext.AppendText(dst, "decisionId", mem.decisionID)
	}
	return append(dst, '}')
}

// batchStream answers a stream of rows with a stream of results, one line for
// each line. It is read by the connection's own goroutine while the answer is
// sent, so it works in step with both ends: nothing is queued, and memory is
// one line. A bad line, one longer than Config.MaxLine too, is answered with an
// error object and is not the end of the stream.
type batchStream struct {
	rq     *request
	scorer engine.Scorer
	lines  *bufio.Reader
	index  int
	out    []byte // what of the current result has not been read yet
	ended  bool
}

// flushBytes is how many bytes of results are gathered while further lines are
// there already.
const flushBytes = 16 << 10

// Read returns the next results.
func (b *batchStream) Read(p []byte) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			b.rq.server.metrics.panics.Inc()
			b.rq.server.log.Error().Str("requestId", b.rq.id).Str("panic", fmt.Sprint(r)).Msg("a stream panicked")
			n, err = 0, errStreamPanicked
		}
	}()
	if len(b.out) == 0 {
		if b.ended {
			return 0, io.EOF
		}
		b.out = b.rq.out[:0]
		for {
			b.line()
			if b.ended || len(b.out) >= flushBytes || b.lines.Buffered() == 0 {
				break
			}
		}
		b.rq.out = b.out
		if len(b.out) == 0 {
			return 0, io.EOF
		}
	}
	n = copy(p, b.out)
	b.out = b.out[n:]
	return n, nil
}

var errStreamPanicked = errors.New("httpapi: a stream panicked")

// line answers the next line, if there is one.
func (b *batchStream) line() {
	rq := b.rq
	cfg := &rq.server.cfg
	extend(rq.conn, cfg.ReadTimeout, cfg.WriteTimeout)
	line, ended, err := b.readLine(cfg.MaxLine)
	if err == nil && rq.ctx.Err() != nil {
		ended, err = true, decision.Errorf(decision.KindUnavailable, "the node is shutting down; the stream ends here")
	}
	b.ended = ended
	if err != nil {
		b.fail(err)
		return
	}
	if len(bytes.TrimSpace(line)) == 0 {
		return // nothing is asked by an empty line
	}
	if err := rq.decoder.begin(line, rq.strict); err != nil {
		b.fail(err)
		return
	}
	customer, row := rq.batchRow()
	if err := rq.decoder.err(); err != nil {
		b.fail(err)
		return
	}
	b.out = append(rq.appendBatchScore(b.out, b.scorer, b.index, customer, row), '\n')
	b.index++
}

// readLine returns the next line without its end; the last line comes with
// ended. Of a line of more than most bytes only the error is left.
func (b *batchStream) readLine(most int) (line []byte, ended bool, err error) {
	buf, long := b.rq.buffer[:0], false
	for {
		part, err := b.lines.ReadSlice('\n')
		if long = long || len(buf)+len(part) > most+1; !long {
			buf = append(buf, part...)
			b.rq.buffer = buf
		}
		switch {
		case err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull):
			return nil, true, readError(err)
		case err != nil && err != io.EOF: // the line goes on
		case long:
			return nil, err == io.EOF, decision.Errorf(decision.KindTooLarge, "the line is longer than the %d bytes permitted", most)
		default:
			return buf, err == io.EOF, nil
		}
	}
}

// fail appends an error object for the current line.
func (b *batchStream) fail(err error) {
	b.out = strconv.AppendInt(append(b.out, `{"index":`...), int64(b.index), 10)
	b.out = appendErrorFields(append(b.out, `,"error":{`...), asError(err))
	b.out = append(b.out, "}}\n"...)
	b.index++
}

// Close gives the request back; a body that was not read to its end costs the
// connection.
func (b *batchStream) Close() error {
	if b.rq == nil {
		return nil
	}
	rq := b.rq
	b.rq = nil
	if !rq.stream.done {
		_ = rq.conn.Close()
	}
	rq.release()
	return nil
}
