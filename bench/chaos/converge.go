package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/praetor-engine/praetor/bench/nodes"
)

// convergeTimeout is how long the nodes may take after a fault to be ready and
// equal again.
const convergeTimeout = 60 * time.Second

var errNotEqual = errors.New("chaos: the nodes have applied different indexes")

// converge starts what has ended, and waits until every node is ready and all
// have applied the same index.
func (l *life) converge(ctx context.Context, f *findings) (index uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, convergeTimeout)
	defer cancel()
	for _, m := range l.members {
		if err := l.revive(ctx, m, f); err != nil {
			return 0, err
		}
	}
	err = nodes.Await(ctx, func(ctx context.Context) error {
		index, err = l.commonIndex(ctx)
		return err
	})
	return index, err
}

// revive starts a node that has ended and waits until it is ready. One that
// ended although nothing was done to it is a finding.
func (l *life) revive(ctx context.Context, m *member, f *findings) error {
	if !m.Alive() {
		if !m.mayEnd.Load() {
			f.addf(8, "%s ended by itself: %s", m.ID(), l.lastWords(m))
		}
		m.away()
		if err := m.Start(ctx); err != nil {
			return err
		}
	}
	if err := m.AwaitReady(ctx); err != nil {
		f.addf(8, "%s does not come back: %v; its log ends: %s", m.ID(), err, l.lastWords(m))
		return err
	}
	m.mayEnd.Store(false)
	m.back()
	return nil
}

// lastWords are the last warnings and errors of a node's log since the round
// began, or its last line.
func (l *life) lastWords(m *member) string {
	text, err := m.LogFrom(m.offset, 64<<10)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	var bad []string
	for _, line := range lines {
		if strings.Contains(line, `"level":"error"`) || strings.Contains(line, `"level":"fatal"`) || !strings.HasPrefix(line, "{") {
			bad = append(bad, line)
		}
	}
	if len(bad) == 0 {
		bad = lines
	}
	const keep = 3
	if i := slices.IndexFunc(bad, func(s string) bool { return strings.HasPrefix(s, "panic") || strings.HasPrefix(s, "fatal error") }); i >= 0 {
		bad = bad[i:min(len(bad), i+keep)]
	} else {
		bad = bad[max(0, len(bad)-keep):]
	}
	return clip(strings.Join(bad, " | "), 900)
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}

func (l *life) commonIndex(ctx context.Context) (index uint64, err error) {
	for i, m := range l.members {
		s, err := m.Status(ctx)
		if err != nil {
			return 0, err
		}
		if i > 0 && s.AppliedIndex != index {
			return 0, fmt.Errorf("%w: %s %d, %s %d", errNotEqual, l.members[0].ID(), index, m.ID(), s.AppliedIndex)
		}
		index = s.AppliedIndex
	}
	return index, nil
}

// recorded is how many interactions a node has.
func (l *life) recorded(ctx context.Context, m *member) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	a, err := m.Do(ctx, nodes.Request{Method: http.MethodGet, Path: "/api/v1/interaction-history?limit=1", Key: l.keys[outcomesTenant]})
	if err != nil {
		return 0, err
	}
	var page struct{ Pagination struct{ Total int64 } }
	err = a.Decode(&page)
	return page.Pagination.Total, err
}

// resendSize is how many outcomes go again in one request.
const resendSize = 500

// known is how many of the outcomes that were sent again the cluster knew already.
// Of a request that was itself repeated, what the cluster knew may be what the
// first try brought: then the number is between least and most.
type known struct{ least, most int64 }

// resend sends outcomes again with their keys until each is answered.
func (l *life) resend(ctx context.Context, list []outcome) (k known, err error) {
	var mu sync.Mutex
	var group sync.WaitGroup
	var errs []error
	parts := slices.Chunk(list, resendSize)
	next := make(chan []outcome)
	for range 4 {
		group.Go(func() {
			for part := range next {
				a, tries, err := l.persist(ctx, l.outcomesRequest(part, true))
				var counts struct{ Succeeded, Duplicates, Failed int }
				if err == nil {
					err = a.Decode(&counts)
				}
				if err == nil && counts.Succeeded+counts.Duplicates != len(part) {
					err = fmt.Errorf("chaos: %d outcomes sent again were answered %s", len(part), clip(string(a.Body), 300))
				}
				mu.Lock()
				errs = append(errs, err)
				k.most += int64(counts.Duplicates) // succeeded counts the new ones
				if tries == 1 {
					k.least += int64(counts.Duplicates)
				}
				mu.Unlock()
			}
		})
	}
	for part := range parts {
		next <- part
	}
	close(next)
	group.Wait()
	return k, errors.Join(errs...)
}

// counts is what exact counting gave.
type counts struct {
	Acknowledged int   `json:"acknowledged"` // before anything was sent again
	Doubtful     int   `json:"doubtful"`
	Landed       int64 `json:"landed"` // of the doubtful, at most
	Refused      int   `json:"refused"`
	Lost         int64 `json:"lost"`       // acknowledged and not there
	Duplicated   int64 `json:"duplicated"` // there more than once
}

// maxRefused bounds how many refused outcomes are sent again.
const maxRefused = 5000

// count holds the cluster against the ledger: every acknowledged outcome is
// there once, those in doubt at most once, those refused not at all.
func (l *life) count(ctx context.Context, f *findings) (c counts, err error) {
	ctx, cancel := context.WithTimeout(ctx, convergeTimeout)
	defer cancel()
	sure, unsure, no := l.ledger.in(acknowledged), l.ledger.in(doubtful), l.ledger.in(refused)
	c = counts{Acknowledged: len(sure), Doubtful: len(unsure), Refused: len(no)}
	before := map[string]int64{}
	for _, m := range l.members {
		if before[m.ID()], err = l.recorded(ctx, m); err != nil {
			return c, err
		}
	}
	landed, err := l.resend(ctx, unsure)
	if err != nil {
		return c, fmt.Errorf("chaos: resolve %d outcomes in doubt: %w", len(unsure), err)
	}
	c.Landed = landed.most
	least, most := l.ledger.expected(landed.least), l.ledger.expected(landed.most)
	for _, m := range l.members {
		if got := before[m.ID()]; got < least || got > most {
			f.addf(4, "%s has %d interactions, %d to %d were acknowledged or in doubt and landed", m.ID(), got, least, most)
		}
	}
	l.ledger.acknowledge(doubtful)
	if len(no) > maxRefused {
		no = no[:maxRefused]
	}
	if landed, err = l.resend(ctx, no); err != nil {
		return c, fmt.Errorf("chaos: send %d refused outcomes: %w", len(no), err)
	}
	if landed.least > 0 {
		f.addf(3, "%d of %d outcomes that were refused as never having entered the log were there", landed.least, len(no))
	}
	l.ledger.note(no, acknowledged, time.Now())
	there, err := l.resend(ctx, sure)
	if err != nil {
		return c, fmt.Errorf("chaos: send %d acknowledged outcomes again: %w", len(sure), err)
	}
	if c.Lost = int64(len(sure)) - there.most; c.Lost > 0 {
		f.addf(4, "%d of %d acknowledged outcomes were not there", c.Lost, len(sure))
	}
	return c, l.countAll(ctx, f, &c)
}

// countAll compares the totals and what the bandits have learned with the whole
// life's ledger, where nothing is in doubt any more.
func (l *life) countAll(ctx context.Context, f *findings, c *counts) error {
	want, err := l.ledger.settle()
	if err != nil {
		return err
	}
	total := l.ledger.expected(0)
	if _, err := l.converge(ctx, f); err != nil {
		return err
	}
	for _, m := range l.members {
		got, err := l.recorded(ctx, m)
		if err != nil {
			return err
		}
		if got != total {
			c.Duplicated += max(0, got-total)
			f.addf(4, "%s has %+d interactions than the %d that were sent, all acknowledged", m.ID(), got-total, total)
		}
		epsilon, err := l.epsilon(ctx, m)
		if err != nil {
			return err
		}
		if !maps.Equal(epsilon, want) {
			f.addf(4, "the epsilon_greedy model on %s has learned %v, want %v", m.ID(), epsilon, want)
		}
	}
	return nil
}

// epsilon reads what the epsilon_greedy model has learned on a node.
func (l *life) epsilon(ctx context.Context, m *member) (map[string]tally, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	a, err := m.Do(ctx, nodes.Request{
		Method: http.MethodGet, Path: modelsPath + "/" + l.bandits["epsilon_greedy"] + "?include=modelState", Key: l.keys[outcomesTenant],
	})
	if err != nil {
		return nil, err
	}
	var model struct {
		ModelState struct {
			Arms map[string]struct{ TotalReward, Pulls float64 }
		}
	}
	if err := a.Decode(&model); err != nil {
		return nil, err
	}
	out := map[string]tally{}
	for arm, s := range model.ModelState.Arms {
		out[arm] = tally{int64(s.TotalReward), int64(s.Pulls - s.TotalReward)}
	}
	return out, nil
}

// replicas is what comparing the nodes gave.
type replicas struct {
	Index   uint64 `json:"index"`
	Items   int    `json:"items"`   // compared byte by byte on all nodes
	Digests int    `json:"digests"` // nodes that gave one
}

// compare holds the nodes against each other at one index.
func (l *life) compare(ctx context.Context, f *findings) (r replicas, err error) {
	ctx, cancel := context.WithTimeout(ctx, convergeTimeout)
	defer cancel()
	var pictures [size]map[string][]byte
	err = nodes.Await(ctx, func(ctx context.Context) error {
		before, err := l.commonIndex(ctx)
		if err != nil {
			return err
		}
		for i, m := range l.members {
			if pictures[i], err = l.picture(ctx, m); err != nil {
				return err
			}
		}
		r.Index, err = l.commonIndex(ctx)
		if err == nil && r.Index != before {
			err = errNotEqual
		}
		return err
	})
	if err != nil {
		return r, err
	}
	r.Items = len(pictures[0])
	for i := 1; i < size; i++ {
		for _, name := range differences(pictures[0], pictures[i]) {
			f.addf(10, "%s and %s differ at index %d in %s: %s", l.members[0].ID(), l.members[i].ID(), r.Index, name,
				difference(pictures[0][name], pictures[i][name]))
		}
	}
	r.Digests, err = l.digests(ctx, f)
	return r, err
}

// differences names what two pictures do not have in common, in order.
func differences(a, b map[string][]byte) []string {
	var names []string
	for name := range a {
		if other, ok := b[name]; !ok || !bytes.Equal(a[name], other) {
			names = append(names, name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// difference shows the first place where two texts differ.
func difference(a, b []byte) string {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	show := func(s []byte) string { return string(s[max(0, min(i-30, len(s))):min(len(s), i+30)]) }
	return fmt.Sprintf("…%s… and …%s…", show(a), show(b))
}

// picture is what a node shows of its state, from memory, without asking others.
func (l *life) picture(ctx context.Context, m *member) (map[string][]byte, error) {
	p := map[string][]byte{}
	get := func(key, path string) (*nodes.Answer, error) {
		a, err := m.Do(ctx, nodes.Request{Method: http.MethodGet, Path: path, Key: key})
		if err == nil && !a.OK() {
			err = fmt.Errorf("chaos: %s: GET %s: %s", m.ID(), path, &a)
		}
		return &a, err
	}
	for tenant, key := range l.keys {
		paths := []string{modelsPath + "?limit=100", "/api/v1/interaction-history?limit=100", "/api/v1/api-keys", "/api/v1/outcome-types"}
		for c := range 5 {
			paths = append(paths, "/api/v1/interaction-summaries?customerId=c"+strconv.Itoa(c))
		}
		if l.features.Families {
			paths = append(paths, "/api/v1/families")
		}
		models, err := l.list(ctx, m, key)
		if err != nil {
			return nil, err
		}
		for _, model := range models {
			paths = append(paths, modelsPath+"/"+model.ID+"?include=modelState", "/api/v1/models/"+model.ID+"/registry")
		}
		for _, path := range paths {
			a, err := get(key, path)
			if err != nil {
				return nil, err
			}
			p[tenant+" "+path] = a.Body
		}
	}
	return p, nil
}

// digests asks every node for its digest and compares those given. A node that
// does not lead may refuse.
func (l *life) digests(ctx context.Context, f *findings) (n int, err error) {
	type digest struct {
		Models       map[string]string `json:"models"`
		Interactions map[string]int64  `json:"interactions"`
	}
	var first *digest
	var whose string
	for _, m := range l.members {
		a, err := m.Do(ctx, nodes.Request{Method: http.MethodPost, Path: "/api/v1/cluster/digest", Body: struct{}{}})
		if err != nil {
			return n, err
		}
		if a.Status == http.StatusServiceUnavailable {
			continue
		}
		d := &digest{}
		if err := a.Decode(d); err != nil {
			return n, err
		}
		n++
		if first == nil {
			first, whose = d, m.ID()
			continue
		}
		if !maps.Equal(first.Models, d.Models) || !maps.Equal(first.Interactions, d.Interactions) {
			f.addf(10, "the digests of %s and %s differ: %v and %v", whose, m.ID(), *first, *d)
		}
	}
	if n == 0 {
		return 0, errors.New("chaos: no node gave a digest")
	}
	for id, d := range first.Models {
		if strings.HasPrefix(d, "fault@") {
			raw, _ := json.Marshal(d)
			f.addf(0, "model %s is faulted: %s", id, raw)
		}
	}
	return n, nil
}
