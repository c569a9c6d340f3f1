package external

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

const full = `{"endpoint":"https://scores.example.com:8443/v1?x=1","auth":{"type":"bearer","token":"s3cret"},"timeoutMs":250,
	"fallbackScore":0.25,"responseMapping":{"scoresPath":"data.scores","offerIdField":"id","scoreField":"p"}}`

func TestReadConfig(t *testing.T) {
	c, err := ReadConfig(json.RawMessage(full))
	if err != nil {
		t.Fatal(err)
	}
	if c.URL != "https://scores.example.com:8443/v1?x=1" || string(c.Token) != "s3cret" || c.Timeout != 250*time.Millisecond || c.Fallback != 0.25 ||
		!slices.Equal(c.ScoresPath, []string{"data", "scores"}) || c.OfferIDField != "id" || c.ScoreField != "p" {
		t.Errorf("ReadConfig = %+v", c)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if got := fmt.Sprintf(format, *c); strings.Contains(got, "s3cret") || strings.Contains(got, "733363726574") {
			t.Errorf("%s shows the token: %s", format, got)
		}
	}
	if raw, _ := json.Marshal(c); strings.Contains(string(raw), "s3cret") {
		t.Errorf("JSON shows the token: %s", raw)
	}
	c, err = ReadConfig(json.RawMessage(`{"endpoint":"https://e.example"}`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Token != "" || c.Timeout != 3*time.Second || c.Fallback != 0.5 || !slices.Equal(c.ScoresPath, []string{"scores"}) || c.OfferIDField != "offerId" || c.ScoreField != "score" {
		t.Errorf("defaults = %+v", c)
	}
	c, err = ReadConfig(json.RawMessage(`{"endpoint":"https://e.example","responseMapping":{"scoresPath":""}}`))
	if err != nil || len(c.ScoresPath) != 0 {
		t.Errorf("an empty path = %v, %v, want the whole answer", c, err)
	}
}

func TestValidationNamesThePath(t *testing.T) {
	const ok = `"endpoint":"https://e.example"`
	cases := []struct{ config, path string }{
		{`{}`, "config.endpoint"},
		{`{"endpoint":5}`, "config.endpoint"},
		{`{"endpoint":"https://u:s3cret@e.example"}`, "config.endpoint"},
		{`{` + ok + `,"auth":"s3cret"}`, "config.auth"},
		{`{` + ok + `,"auth":{"token":["s3cret"]}}`, "config.auth.token"},
		{`{` + ok + `,"auth":{"token":"s3cret\r\nX-Evil: 1"}}`, "config.auth.token"},
		{`{` + ok + `,"auth":{"token":"` + strings.Repeat("s3cret", 2000) + `"}}`, "config.auth.token"},
		{`{` + ok + `,"auth":{"token":"[redacted]"}}`, "config.auth.token"},
		{`{` + ok + `,"timeoutMs":0}`, "config.timeoutMs"},
		{`{` + ok + `,"timeoutMs":60000}`, "config.timeoutMs"},
		{`{` + ok + `,"fallbackScore":1.5}`, "config.fallbackScore"},
		{`{` + ok + `,"responseMapping":[]}`, "config.responseMapping"},
		{`{` + ok + `,"responseMapping":{"scoresPath":"a..b"}}`, "config.responseMapping.scoresPath"},
		{`{` + ok + `,"responseMapping":{"scoresPath":"` + strings.Repeat("a.", 16) + `b"}}`, "config.responseMapping.scoresPath"},
		{`{` + ok + `,"responseMapping":{"offerIdField":""}}`, "config.responseMapping.offerIdField"},
		{`{` + ok + `,"responseMapping":{"scoreField":1}}`, "config.responseMapping.scoreField"},
	}
	for _, c := range cases {
		_, err := New(learn.Spec{Config: json.RawMessage(c.config)}, nil)
		var e *decision.Error
		if !errors.As(err, &e) || e.Kind != decision.KindBadRequest || len(e.Details) != 1 || e.Details[0].Path != c.path {
			t.Errorf("New(%s) = %v, want one problem at %s", c.config, err, c.path)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
	if _, err := New(learn.Spec{Config: json.RawMessage(full)}, json.RawMessage(`{"x":1}`)); err == nil {
		t.Error("a state was taken")
	}
}

func TestParseURL(t *testing.T) {
	good := []string{
		"https://e.example", "http://e.example/x", "https://127.0.0.1:8443/", "https://[::1]:8443/", "https://[::ffff:127.0.0.1]/",
		"https://xn--bcher-kva.example/", "https://a_b.example.", "https://3com.example", "https://0xfg/", "HTTPS://E.example",
	}
	for _, text := range good {
		if _, err := ParseURL(text); err != nil {
			t.Errorf("ParseURL(%q) = %v", text, err)
		}
	}
	bad := []string{
		"", "e.example", "/x", "https://", "https:///x", "https:e.example", "ftp://e.example", "file:///etc/passwd", "https://u@e.example",
		"https://u:p@e.example", "https://e.example/#f", "https://127.1/", "https://0x7f.1/", "https://0x7f000001/", "https://2130706433/",
		"https://0177.0.0.1/", "https://127.0.0.1./", "https://127.0.0.256/", "https://1.2.3.4.5/", "https://[fe80::1%25eth0]/", "https://[::1", "https://e.example:x/",
		"https://１２７.0.0.1/", "https://bücher.example/", "https://e..example/", "https://./", "https://e.example\\@evil.example/", "https://e.example\n/",
		"https://" + strings.Repeat("a", 300) + "/", "https://e.example/" + strings.Repeat("a", 3000), "gopher://e.example", "https://[v1.x]/", "https://0x/",
	}
	for _, text := range bad {
		if u, err := ParseURL(text); err == nil {
			t.Errorf("ParseURL(%q) = %v, want an error", text, u)
		}
	}
}

func TestRedact(t *testing.T) {
	cases := []struct{ in, want string }{
		{`{"auth":{"type":"bearer","token":"s3cret"},"b":1.50}`, `{"auth":{"token":"[redacted]","type":"bearer"},"b":1.50}`},
		{`{"auth":{"token":"s3cret"},"auth":{"token":"s3cret2"}}`, `{"auth":{"token":"[redacted]"}}`},
		{`{"auth":{"token":"s3cret"},"auth":null}`, `{"auth":{}}`},
		{`{"auth":{"token":{"x":"s3cret"},"password":"s3cret"}}`, `{"auth":{"password":"[redacted]","token":"[redacted]"}}`},
		{`{"Auth":{"Token":"s3cret"}}`, `{"Auth":{"Token":"[redacted]"}}`},
		{`{"auth":"s3cret"}`, `{"auth":{}}`}, {`{"auth":["s3cret"]}`, `{"auth":{}}`},
		{`{"endpoint":"https://e.example"}`, `{"endpoint":"https://e.example"}`},
		{`"s3cret"`, `{}`}, {`{"auth":{"token":"s3cret"`, `{}`}, {``, `{}`}, {`null`, `{}`},
	}
	for _, c := range cases {
		if got := string(Redact(json.RawMessage(c.in))); got != c.want {
			t.Errorf("Redact(%s) = %s, want %s", c.in, got, c.want)
		}
	}
}

func TestKeepSecrets(t *testing.T) {
	const stored = `{"endpoint":"https://e.example/v1","auth":{"token":"s3cret"}}`
	back := Redact(json.RawMessage(stored))
	got, err := KeepSecrets(json.RawMessage(stored), back)
	if err != nil || string(got) != `{"auth":{"token":"s3cret"},"endpoint":"https://e.example/v1"}` {
		t.Errorf("KeepSecrets = %s, %v, want the stored token", got, err)
	}
	for _, same := range []string{`{"endpoint":"https://o.example","auth":{"token":"new"}}`, `{"endpoint":"https://o.example"}`, `[]`, ``, `{"auth":{"token":1}}`} {
		if got, err := KeepSecrets(json.RawMessage(stored), json.RawMessage(same)); err != nil || string(got) != same {
			t.Errorf("KeepSecrets(%s) = %s, %v, want it as it is", same, got, err)
		}
	}
	const placeholder = `,"auth":{"token":"[redacted]"}}`
	for _, c := range []struct{ stored, updated, path string }{
		{stored, `{"endpoint":"https://evil.example/v1"` + placeholder, "config.auth.token"},
		{stored, `{"endpoint":"http://e.example/v1"` + placeholder, "config.auth.token"},
		{stored, `{"endpoint":"https://e.example:8443/v1"` + placeholder, "config.auth.token"},
		{stored, `{"endpoint":"https://e.example/v2"` + placeholder, "config.auth.token"},
		{stored, `{"endpoint":"nonsense"` + placeholder, "config.endpoint"},
		{`{"endpoint":"https://e.example/v1"}`, `{"endpoint":"https://e.example/v1"` + placeholder, "config.auth.token"},
		{``, `{"endpoint":"https://e.example/v1"` + placeholder, "config.auth.token"},
	} {
		_, err := KeepSecrets(json.RawMessage(c.stored), json.RawMessage(c.updated))
		var e *decision.Error
		if !errors.As(err, &e) || e.Details[0].Path != c.path {
			t.Errorf("KeepSecrets(%s, %s) = %v, want a problem at %s", c.stored, c.updated, err, c.path)
		}
	}
}

func TestLearner(t *testing.T) {
	spec := learn.Spec{Config: json.RawMessage(full)}
	l, err := New(spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	state := l.AppendState(nil)
	l, err = Load(spec, string(state))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Load(spec, "\x02"); err == nil {
		t.Error("a state of another version was loaded")
	}
	l.Observe(&learn.Example{})
	v := l.Publish()
	var res learn.Result
	if v.Score(&learn.Request{}, &res); res.Score != 0.25 {
		t.Errorf("score = %v, want the fallback 0.25", res.Score)
	}
	if raw, err := l.StateJSON(); raw != nil || err != nil {
		t.Errorf("StateJSON() = %s, %v, want nil", raw, err)
	}
	if got := v.(*Learner).Config().ScoreField; got != "p" {
		t.Errorf("Config().ScoreField = %q, want p", got)
	}
	req := new(learn.Request)
	if n := testing.AllocsPerRun(100, func() { v.Score(req, &res) }); n != 0 {
		t.Errorf("%v allocations per score, want 0", n)
	}
}

func FuzzReadConfig(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte(`{"endpoint":"https://[::1]:1/","auth":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := ReadConfig(raw)
		if err != nil {
			return
		}
		if u, err := ParseURL(c.URL); err != nil || u.String() != c.URL {
			t.Fatalf("the URL %q does not read back: %v", c.URL, err)
		}
		if c.Token == "" {
			return
		}
		back, err := KeepSecrets(raw, Redact(raw))
		if err != nil {
			t.Fatalf("its own redacted form is refused: %v", err)
		}
		if again, err := ReadConfig(back); err != nil || again.Token != c.Token {
			t.Fatalf("the token was lost: %v", err)
		}
	})
}
