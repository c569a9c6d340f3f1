package chaos

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Promise is what the engine promises, with the tests that hold it.
type Promise struct {
	Number int
	Text   string
	Tests  string
	// Round is what a round of the harness checks of it; empty: nothing.
	Round string
	// Faults are those whose rounds check it; none: all.
	Faults []string
}

// Promises are those of docs/reliability.md, by number.
var Promises = []Promise{
	{1, "Registry writes are linearizable and on a quorum's disks before the 2xx.", "`TestWritesAnywhere`, `TestPartitions`, `TestRestart` (cluster)",
		"histories of a text and of a family's statuses in three tenants, checked with porcupine", nil},
	{2, "At most one champion per tenant and family at every applied index on every node.", "`TestOneChampionAgainstTheTwin` (internal/catalogue), `TestPromotionsOnThreeNodes` (internal/engine)",
		"every node's registry looked at all the time, by list and status", nil},
	{3, "A write that answers 504 may or may not have landed; the same idempotency key tells which and never applies twice. 503 means that nothing entered the log.",
		"`TestEndedContext`, `TestNoProgressEndsTheWait`, `TestSentAgain` (cluster), `TestAnswers` (internal/catalogue)",
		"what is in doubt is sent again with its key; what was refused must not be there", nil},
	{4, "An acknowledged outcome is never lost while a quorum's disks survive, and never counted twice.", "`TestKillDuringBulkLoad` (internal/app)",
		"every outcome of a round sent again must be known; totals and a bandit's counts compared with the clients' ledger, on every node", nil},
	{5, "Scoring never waits for the log, a disk or another node; without a quorum it goes on and says so.", "`TestConcurrentReads` (actors), `TestScoringAllocatesNothing` (internal/engine)",
		"scores on every node that nobody has taken away: none may fail; without a quorum each says `X-Stale`", nil},
	{6, "A corrupt file is detected before it is served; the node says which file and what to do.", "`TestDamagedSnapshotIsNotRolledBack`, `TestFlippedBitInTheLog` (cluster), `TestVerifyNamesTheDamagedFile` (snapshot)",
		"a bit flipped in snapshot, log, history or high-water mark: refused by name, or whole again; failing fsyncs and cut writes stop the node", []string{"bit-flip", "fsync-error", "torn-write"}},
	{7, "Every on-disk format that was released opens in every later release.", "`TestEveryReleasesBackupOpens` (internal/engine), `TestEnvelopeFixtures`, `TestStateFixtures` (cluster)", "", nil},
	{8, "A killed, paused or cut-off node comes back by itself and catches up.", "`TestThreeNodes`, `TestSnapshotInstall`, `TestMembershipUnderLoad`, `TestWipedNodeIsRefused` (cluster)",
		"after every fault all nodes are ready at one index within 60 s, and none ends by itself", nil},
	{9, "No request reads or changes another tenant's objects.", "`TestTenantIsolation` (httpapi)", "", nil},
	{10, "Replicas are equal.", "`TestMachinesAreDeterministic`, `TestStatesAreCompared`, `TestANodeThatDiffersIsOutOfService` (internal/engine)",
		"models with their state, registries, interactions, summaries and keys compared byte by byte at one index, and the nodes' digests", nil},
}

// The markers in the page; what is between them is generated.
const (
	beginMark = "<!-- rounds: begin; written by praetor-chaos report -->"
	endMark   = "<!-- rounds: end -->"
)

// WriteReport replaces what is between the markers of a page.
func WriteReport(path string, rounds []Round) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("chaos: %w", err)
	}
	before, rest, ok1 := bytes.Cut(page, []byte(beginMark))
	_, after, ok2 := bytes.Cut(rest, []byte(endMark))
	if !ok1 || !ok2 {
		return fmt.Errorf("chaos: %s lacks the markers %q and %q", path, beginMark, endMark)
	}
	var out bytes.Buffer
	out.Write(before)
	out.WriteString(beginMark + "\n\n")
	writeRounds(&out, rounds)
	out.WriteString("\n" + endMark)
	out.Write(after)
	return os.WriteFile(path, out.Bytes(), 0o644)
}

// sum is what the rounds of one fault gave together.
type sum struct {
	rounds, broken, skipped   int
	acked, doubtful, landed   int64
	refused, lost, duplicated int64
	scores, lostScores, ops   int64
	gap, converged            float64
	why                       string
	findings                  []Finding
	illegal, unchecked        int
}

func (s *sum) add(r *Round) {
	if r.Skipped != "" {
		s.skipped++
		s.why = r.Skipped
		return
	}
	s.rounds++
	if !r.OK() {
		s.broken++
	}
	o := &r.Outcomes
	s.acked += int64(o.Acknowledged)
	s.doubtful += int64(o.Doubtful)
	s.landed += o.Landed
	s.refused += int64(o.Refused)
	s.lost += max(0, o.Lost)
	s.duplicated += o.Duplicated
	s.scores += r.Scores
	s.lostScores += r.Lost
	s.ops += int64(r.History.Operations)
	s.illegal += len(r.History.Illegal)
	s.unchecked += len(r.History.Unchecked)
	s.gap, s.converged = max(s.gap, r.LongestGap), max(s.converged, r.Converged)
	s.findings = append(s.findings, r.Findings...)
}

func writeRounds(out *bytes.Buffer, rounds []Round) {
	var all sum
	byFault := map[string]*sum{}
	for i := range rounds {
		r := &rounds[i]
		if byFault[r.Fault] == nil {
			byFault[r.Fault] = &sum{}
		}
		byFault[r.Fault].add(r)
		all.add(r)
	}
	fmt.Fprintf(out, "%d rounds, %d of them with findings; %d outcomes acknowledged, %d in doubt of which %d had landed, %d refused; "+
		"%d lost, %d counted twice; %d operations in histories, %d histories not linearizable; %d scores, %d lost.\n\n",
		all.rounds, all.broken, all.acked, all.doubtful, all.landed, all.refused, all.lost, all.duplicated, all.ops, all.illegal, all.scores, all.lostScores)
	out.WriteString("| fault | expected beside the promises | rounds | with findings | outcomes acknowledged | in doubt | lost | twice | scores | lost | longest gap without a write, s | equal again after at most, s |\n")
	out.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for i := range Faults {
		f := &Faults[i]
		s := byFault[f.Name]
		switch {
		case s == nil:
			fmt.Fprintf(out, "| %s | %s | 0 | | | | | | | | | |\n", f.Name, f.Expect)
		case s.rounds == 0:
			fmt.Fprintf(out, "| %s | %s | 0, not possible: %s | | | | | | | | | |\n", f.Name, f.Expect, cell(s.why))
		default:
			fmt.Fprintf(out, "| %s | %s | %d | %d | %d | %d | %d | %d | %d | %d | %.1f | %.1f |\n", f.Name, f.Expect, s.rounds, s.broken,
				s.acked, s.doubtful, s.lost, s.duplicated, s.scores, s.lostScores, s.gap, s.converged)
		}
	}
	writePromises(out, &all, byFault)
}

// writePromises tells for each promise how often it was checked and what was
// found.
func writePromises(out *bytes.Buffer, all *sum, byFault map[string]*sum) {
	out.WriteString("\n| | promise | tests | what every round checks | rounds | found |\n|---|---|---|---|---|---|\n")
	for _, p := range Promises {
		rounds := ""
		found := ""
		if p.Round != "" {
			rounds = fmt.Sprint(roundsOf(&p, all, byFault))
			found = found1(all.findings, p.Number)
		}
		fmt.Fprintf(out, "| %d | %s | %s | %s | %s | %s |\n", p.Number, p.Text, p.Tests, p.Round, rounds, found)
	}
	if other := found1(all.findings, 0); other != "nothing" {
		fmt.Fprintf(out, "\nBeside the promises: %s.\n", other)
	}
}

// roundsOf counts the rounds that check a promise.
func roundsOf(p *Promise, all *sum, byFault map[string]*sum) (n int) {
	if len(p.Faults) == 0 {
		return all.rounds
	}
	for _, name := range p.Faults {
		if s := byFault[name]; s != nil {
			n += s.rounds
		}
	}
	return n
}

// found1 lists the findings about one promise, the same ones once.
func found1(list []Finding, promise int) string {
	var whats []string
	for _, f := range list {
		if f.Promise == promise && !slices.Contains(whats, cell(f.What)) {
			whats = append(whats, cell(f.What))
		}
	}
	if len(whats) == 0 {
		return "nothing"
	}
	const most = 5
	more := ""
	if len(whats) > most {
		more = fmt.Sprintf("; and %d others", len(whats)-most)
		whats = whats[:most]
	}
	return strings.Join(whats, "; ") + more
}

// cell makes a text fit a table's cell.
func cell(s string) string {
	return clip(strings.NewReplacer("|", "/", "\n", " ").Replace(s), 200)
}
