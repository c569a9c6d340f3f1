package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
)

// command runs a command line and returns what it wrote.
func command(t *testing.T, args string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(context.Background(), strings.Fields(args), &environment{out: &o, err: &e})
	return code, o.String(), e.String()
}

const evaluateLog = "evaluate --log testdata/decisions.ndjson --export testdata/challenger.json"

// The challenger knows which offer fits whom, its second version the contrary.
func TestEvaluate(t *testing.T) {
	clearEnvironment(t)
	code, out, errs := command(t, evaluateLog)
	if code != exitOK {
		t.Fatal(errs)
	}
	for _, want := range []string{
		"evaluated    challenger, version 3 (logistic_regression)",
		"decisions    40 from 2026-03-14T06:00:00.000Z to 2026-03-14T06:00:39.000Z; none left out",
		"decided by   nbo, version 2 (thompson_bandit): 40",
		"ESTIMATOR  REWARD  95 %", "logged ", "replay ", "ips ", "snips ", "dr ",
		"warning: 40 decisions are few",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("got output\n%s\nwant %q in it", out, want)
		}
	}
	value := func(args string) float64 {
		code, out, errs := command(t, args+" --estimator snips --json")
		var e struct {
			Policy struct{ Version int }
			Report struct {
				Estimates []struct {
					Estimator string
					Value     *float64
				}
			}
		}
		if err := json.Unmarshal([]byte(out), &e); code != exitOK || err != nil || len(e.Report.Estimates) != 2 || e.Report.Estimates[1].Value == nil {
			t.Fatalf("%s: %v, %s %s", args, err, out, errs)
		}
		return *e.Report.Estimates[1].Value
	}
	good, bad := value(evaluateLog), value(evaluateLog+" --export-version 2")
	if !(good > bad+0.2) {
		t.Errorf("the third version earns %v, the second %v; want it much better", good, bad)
	}
	if got := value(evaluateLog + " --reward accept=10"); got < 9*good || got > 11*good {
		t.Errorf("with a reward of ten %v, want ten times %v", got, good)
	}
	// The model need not come from a file.
	f := newFake(t)
	code, _, errs = command(t, "evaluate --log testdata/decisions.ndjson --model challenger@3 --key prk_test --url "+f.URL)
	if code == exitOK || !strings.Contains(errs, "challenger") {
		t.Errorf("a model that the engine does not have: %d, %s", code, errs)
	}
}

func TestEvaluateRefuses(t *testing.T) {
	clearEnvironment(t)
	f := newFake(t)
	for args, want := range map[string]string{
		"evaluate --log testdata/decisions.ndjson":                       "--model",
		evaluateLog + " --export-version 7":                              "it has those of: 2",
		evaluateLog + " --reward accept=much":                            "--reward: the reward of accept",
		evaluateLog + " --family other":                                  "the log has no decisions to evaluate on",
		evaluateLog + " --estimator magic":                               "must be one of",
		evaluateLog + " --since yesterday":                               "yesterday",
		"evaluate --log testdata/none --export testdata/model.json":      "does not score without its engine",
		"evaluate --log testdata/none --export testdata/challenger.json": "testdata/none",
		"evaluate --log testdata --model cards@x --key k --url " + f.URL: "a version from 1 on",
	} {
		if code, _, errs := command(t, args); code == exitOK || !strings.Contains(errs, want) {
			t.Errorf("%s: exit code %d, %q, want %q", args, code, errs, want)
		}
	}
}
