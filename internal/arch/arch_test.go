// Package arch holds the project's import rules as a test.
package arch

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/praetor-engine/praetor/"

// may lists, for each package, the packages of the project that it may import;
// a trailing "/" stands for everything below. A package that is not listed
// fails the test: whoever adds one decides here what it may know.
var may = map[string][]string{
	"internal/decision":  {},
	"internal/wire":      {},
	"internal/jsontext":  {"internal/decision"},
	"internal/learn":     {"internal/decision", "internal/wire"},
	"internal/learn/":    {"internal/decision", "internal/wire", "internal/learn", "internal/learn/"},
	"internal/catalogue": {"internal/audit", "internal/decision", "internal/experiment", "internal/wire"},
	"internal/command":   {"internal/catalogue", "internal/decision", "internal/experiment", "internal/monitor", "internal/optimization", "internal/webhook", "internal/wire"},
	"internal/history":   {"internal/command", "internal/decision", "internal/wire"},
	"internal/dataset":   {"internal/decision", "internal/learn"},
	"internal/simulator": {"internal/decision"},
	// Pure rules about models; the engine applies them.
	"internal/evidence":    {"internal/decision", "internal/learn", "internal/learn/arms", "internal/learn/encode", "internal/wire"},
	"internal/experiment":  {"internal/decision", "internal/learn", "internal/learn/encode", "internal/wire"},
	"internal/evolve":      {"internal/decision", "internal/learn/encode"},
	"internal/audit":       {"internal/decision", "internal/wire"},
	"internal/event":       {"internal/decision", "internal/wire"},
	"internal/webhook":     {"internal/decision", "internal/event"},
	"internal/decisionlog": {"internal/decision", "internal/jsontext"},
	// Estimates of other policies from logged decisions.
	"internal/evaluate/logged": {"internal/decision", "internal/decisionlog", "internal/evaluate"},
	"internal/evaluate":        {"internal/decision", "internal/learn", "internal/learn/logistic"},
	"internal/monitor":         {"internal/decision", "internal/learn", "internal/learn/predictors", "internal/learn/thompson", "internal/wire"},
	// What optimizations of /api/v2 count and learn.
	"internal/factorial":           {"internal/decision"},
	"internal/factorial/posterior": {"internal/decision", "internal/factorial", "internal/learn/encode", "internal/wire"},
	"internal/attribution":         {"internal/decision", "internal/factorial", "internal/wire"},
	"internal/vault":               {},
	"internal/warehouse/":          {"internal/attribution", "internal/decision", "internal/endpoint", "internal/warehouse"},
	"internal/optimization":        {"internal/attribution", "internal/decision", "internal/factorial", "internal/factorial/posterior", "internal/wire"},
	"internal/warehouse":           {"internal/attribution", "internal/decision", "internal/factorial"},
	"snapshot":                     {"internal/decision"},
	"cluster":                      {"internal/decision", "internal/wire", "snapshot"},
	"actors":                       {"internal/attribution", "internal/decision", "internal/evidence", "internal/learn", "internal/learn/types", "internal/optimization"},
	"internal/engine": {
		"actors", "cluster", "snapshot", "internal/attribution", "internal/audit", "internal/catalogue", "internal/command", "internal/decision", "internal/decisionlog",
		"internal/endpoint", "internal/event", "internal/evidence", "internal/evolve", "internal/experiment", "internal/history", "internal/learn", "internal/learn/boosted", "internal/learn/external", "internal/learn/predictors", "internal/learn/types",
		"internal/factorial", "internal/factorial/posterior", "internal/mlclient", "internal/monitor", "internal/optimization", "internal/pmml", "internal/vault", "internal/warehouse", "internal/warehouse/", "internal/webhook", "internal/wire",
	},
	"internal/pmml":   {"internal/decision", "internal/learn", "internal/learn/logistic", "internal/learn/scorecard"},
	"httpapi":         {"internal/engine", "internal/catalogue", "internal/decision", "internal/event", "internal/evidence", "internal/experiment", "internal/factorial", "internal/factorial/posterior", "internal/jsontext", "internal/learn", "internal/optimization", "internal/webhook"},
	"internal/client": {},
	// What calls out: nothing of the engine but its words.
	"internal/endpoint": {"internal/decision", "internal/learn/external"},
	"internal/mlclient": {"internal/decision"},
	"internal/demo":     {"internal/client", "internal/dataset", "internal/decision", "internal/learn", "internal/simulator"},
	"internal/app":      {"cluster", "httpapi", "internal/decision", "internal/endpoint", "internal/engine", "internal/mlclient", "internal/vault"},
	"cmd/praetor":       {"cluster", "snapshot", "internal/app", "internal/client", "internal/decision", "internal/demo", "internal/engine", "internal/evaluate", "internal/evaluate/logged"},
	"internal/arch":     {},
	"bench":             {"bench/nodes", "bench/rawraft", "cluster", "httpapi", "internal/app", "internal/attribution", "internal/client", "internal/decision", "internal/engine", "internal/factorial", "internal/factorial/posterior", "internal/optimization", "internal/simulator", "snapshot"},
	// What looks at nodes from outside knows nothing of what is in them.
	"bench/nodes":   {},
	"bench/chaos":   {"bench/nodes"},
	"bench/rawraft": {},
	"bench/learners": {
		"bench", "internal/client", "internal/dataset", "internal/decision", "internal/learn", "internal/learn/types", "internal/simulator",
	},
	// A simulation of the rules about models, without an engine.
	"bench/adaptive": {
		"bench", "bench/chart", "internal/decision", "internal/evidence", "internal/learn", "internal/learn/types", "internal/simulator",
	},
	"bench/chart": {},
	"bench/regret": {
		"bench", "bench/chart", "internal/evaluate", "internal/factorial", "internal/factorial/posterior", "internal/learn",
	},
	"bench/": {"bench/adaptive", "bench", "bench/chaos", "bench/learners", "bench/nodes", "bench/rawraft", "bench/regret", "cluster", "httpapi", "internal/app", "internal/client", "internal/decision", "internal/engine", "internal/simulator", "snapshot"},
}

// alone lists the libraries that only the named packages may import, with the
// reason: what one package hides, it can replace.
var alone = []struct {
	library, reason string
	packages        []string
}{
	{"github.com/asynkron/protoactor-go", "the actor library is behind package actors", []string{"actors"}},
	{"github.com/hashicorp/raft", "the log library is behind package cluster; bench compares with it", []string{"cluster", "bench/rawraft"}},
	{"go.etcd.io/bbolt", "the log's file is behind package cluster; bench compares with it", []string{"cluster", "bench/rawraft"}},
	{"github.com/cockroachdb/pebble", "the storage library is behind package history", []string{"internal/history"}},
	{"github.com/valyala/fasthttp", "the HTTP library is behind package httpapi; bench compares with it", []string{"httpapi", "bench", "bench/"}},
	{"github.com/jackc/pgx", "databases are behind package postgres", []string{"internal/warehouse/postgres", "internal/warehouse/postgres/"}},
	{"github.com/parquet-go/parquet-go", "the library panics on files that are not what they claim to be; who reads them recovers", []string{"internal/decisionlog", "internal/warehouse/files"}},
	{"github.com/robfig/cron", "schedules are the business of package engine", []string{"internal/engine"}},
	{"github.com/anishathalye/porcupine", "histories are checked from outside", []string{"bench/chaos"}},
	{"github.com/alecthomas/kong", "flags are the command's business", []string{"cmd/praetor", "internal/app", "bench/"}},
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; seen++ {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		checkPackage(t, strings.TrimPrefix(p.ImportPath, module), p.Imports)
	}
	if seen < 10 {
		t.Errorf("go list found %d packages; the test looks at the wrong tree", seen)
	}
}

func checkPackage(t *testing.T, pkg string, imports []string) {
	t.Helper()
	rules, ok := rulesOf(pkg)
	if !ok {
		t.Errorf("package %s is not in the import table", pkg)
		return
	}
	for _, imp := range imports {
		if ours, ok := strings.CutPrefix(imp, module); ok && !listed(rules, ours) {
			t.Errorf("package %s may not import %s", pkg, ours)
		}
		for _, a := range alone {
			if (imp == a.library || strings.HasPrefix(imp, a.library+"/") || strings.HasPrefix(imp, a.library+"-")) && !listed(a.packages, pkg) {
				t.Errorf("package %s may not import %s: %s", pkg, imp, a.reason)
			}
		}
	}
}

func rulesOf(pkg string) ([]string, bool) {
	if rules, ok := may[pkg]; ok {
		return rules, true
	}
	for prefix, rules := range may {
		if strings.HasSuffix(prefix, "/") && strings.HasPrefix(pkg, prefix) {
			return rules, true
		}
	}
	return nil, false
}

func listed(rules []string, pkg string) bool {
	return slices.ContainsFunc(rules, func(r string) bool {
		return r == pkg || (strings.HasSuffix(r, "/") && strings.HasPrefix(pkg, r))
	})
}
