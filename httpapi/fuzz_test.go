package httpapi

import (
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
)

// bodyDecoders are the decoders of every route that takes fields.
var bodyDecoders = []struct {
	name string
	read func(rq *request) error
}{
	{"score", (*request).scoreBody},
	{"offer set", func(rq *request) error { _, _, err := rq.offerSetBody(); return err }},
	{"outcome", func(rq *request) error {
		if err := rq.beginBody(); err != nil {
			return err
		}
		var in engine.OutcomeInput
		rq.outcome(&in)
		return rq.decoder.err()
	}},
	{"outcomes", func(rq *request) error { _, err := rq.bulkBody(); return err }},
	{"row of a batch", func(rq *request) error {
		if err := rq.beginBody(); err != nil {
			return err
		}
		rq.batchRow()
		return rq.decoder.err()
	}},
	{"new model", func(rq *request) error { _, err := rq.modelFields(true); return err }},
	{"model", func(rq *request) error { _, err := rq.modelFields(false); return err }},
	{"outcome type", func(rq *request) error { _, err := rq.outcomeType(true); return err }},
	{"training", func(rq *request) error { _, _, err := rq.trainBody(); return err }},
	{"nothing", (*request).noFields},
}

// Whatever the bytes, every decoder ends, and answers with nothing or with a
// bad request that renders as JSON.
func FuzzBodies(f *testing.F) {
	for _, rt := range bodiesTable("x", "exp_1") {
		f.Add([]byte(rt.good))
		f.Add([]byte(rt.good[:len(rt.good)-1]))
	}
	for _, body := range []string{
		scoreExample, `{"offers":[{"id":"a","attributes":{"b":{"c":["d"]}}},{"id":"a"},1,null]}`, `{"outcomes":[1,{},[],{"customerId":"c","outcome":"o","timestamp":"x"}]}`,
		`{"config":{"a":[{"b":1,"b":2}]},"predictors":[1,"x",{}],"metricsHistory":[{},1],"outcomeWeights":null}`, `{"modelId":7,"\ud83d\ude00":1}`,
	} {
		f.Add([]byte(body))
	}
	rq := &request{}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, d := range bodyDecoders {
			for _, strict := range []bool{false, true} {
				rq.body, rq.strict = body, strict
				err := d.read(rq)
				rq.score.trim()
				rq.outcomes.trim()
				if len(rq.frames) != 0 && err == nil {
					t.Fatalf("%s of %q: left %d objects or arrays open", d.name, body, len(rq.frames))
				}
				if err == nil {
					continue
				}
				e := asError(err)
				if e.Kind != decision.KindBadRequest {
					t.Fatalf("%s of %q: got %v", d.name, body, err)
				}
				if out := appendError(nil, e, "id", ""); checkJSON(out) != nil {
					t.Fatalf("%s of %q: the envelope is %q", d.name, body, out)
				}
			}
		}
	})
}

// FuzzTarget holds that what checkTarget accepts has no second reading.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{"/", "/a/b", "/a/../b", "/a%2fb", "/a%2e%2E/", "//", "/a?b=%zz", "/%", "/a/%c3%a9", "/.", "/a\\b"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, target []byte) {
		if checkTarget(target) != nil {
			return
		}
		for i, ch := range target {
			if ch == '?' {
				target = target[:i]
				break
			}
		}
		plain := appendUnescaped(nil, string(target))
		slashes := func(b []byte) (n int) {
			for _, ch := range b {
				if ch == '/' {
					n++
				}
			}
			return n
		}
		if slashes(plain) != slashes(target) {
			t.Fatalf("%q unescapes to another number of segments: %q", target, plain)
		}
		for i := 1; i < len(plain); i++ {
			if (plain[i] == '/' && plain[i-1] == '/') || plain[i] < ' ' || plain[i] == '\\' {
				t.Fatalf("%q unescapes to %q", target, plain)
			}
		}
	})
}

// FuzzFraming holds that no accepted header block frames a body in two ways.
func FuzzFraming(f *testing.F) {
	for _, s := range []string{"Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", "content-length : 1\ncontent-length:2", ":", "T"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(_ *testing.T, raw []byte) { _ = checkFraming(raw) })
}
