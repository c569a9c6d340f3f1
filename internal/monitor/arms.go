package monitor

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/praetor-engine/praetor/internal/decision"
)

// The bounds of what is kept of a bandit's arms.
const (
	// MaxArms is how many arms are counted by name on a node; further ones count
	// together under no name.
	MaxArms = 256
	// ArmDays is how many days the counts are kept, today's included.
	ArmDays = weekDays + 1
	// keptResets is how many resets are kept of a model.
	keptResets = 20
)

// ArmCount is how often an arm was served: chosen among several, or forced, as a
// request named it or had no other. One that could have been chosen and was not has
// neither.
type ArmCount struct {
	OfferID string `json:"offer"`
	Chosen  uint64 `json:"chosen,omitempty"`
	Forced  uint64 `json:"forced,omitempty"`
}

func (a *ArmCount) served() uint64 { return a.Chosen + a.Forced }

// Reset is when somebody reset what a model learned of a scope, such as offer "a".
type Reset struct {
	Scope string
	At    decision.Time
}

func byOffer(a ArmCount, offerID string) int { return strings.Compare(a.OfferID, offerID) }

// addArms adds counts to those of a day, which are ascending and at most as many as
// the nodes of a cluster can name.
func addArms(to, arms []ArmCount) []ArmCount {
	for _, a := range arms {
		at, found := slices.BinarySearchFunc(to, a.OfferID, byOffer)
		if !found {
			if len(to) > MaxArms && a.OfferID != "" {
				to = addArms(to, []ArmCount{{"", a.Chosen, a.Forced}})
				continue
			}
			to = slices.Insert(to, at, ArmCount{OfferID: a.OfferID})
		}
		to[at].Chosen += a.Chosen
		to[at].Forced += a.Forced
	}
	return to
}

// armCounts counts what one node's requests chose. Counting takes no lock and
// allocates nothing but for an arm that was not seen before.
type armCounts struct {
	choices atomic.Uint64
	counts  atomic.Pointer[map[string]*armCount] // replaced when an arm joins
	mu      sync.Mutex                           // of replacing it
	others  armCount                             // beyond MaxArms
	taken   Date                                 // when take was last called
}

type armCount struct {
	chosen, forced atomic.Uint64
	eligible       atomic.Bool
	told           Date // of take: when it last told of the arm
}

// of returns the count of an arm. The offer's id may be in memory that is used
// again.
func (c *armCounts) of(offerID string) *armCount {
	if all := c.counts.Load(); all != nil {
		if n := (*all)[offerID]; n != nil {
			return n
		}
		if len(*all) >= MaxArms {
			return &c.others
		}
	}
	return c.add(offerID)
}

func (c *armCounts) add(offerID string) *armCount {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string]*armCount{}
	if old := c.counts.Load(); old != nil {
		if n := (*old)[offerID]; n != nil {
			return n
		}
		if len(*old) >= MaxArms {
			return &c.others
		}
		all = maps.Clone(*old)
	}
	n := new(armCount)
	all[strings.Clone(offerID)] = n
	c.counts.Store(&all)
	return n
}

// eligibleEvery is how many choices share one look at the arms that could have been
// chosen: the look costs as much as counting them all.
const eligibleEvery = 16

// Choose records that a bandit served an offer, which it chose among n.
func (t *Track) Choose(chosen string, n int, candidate func(i int) (offerID string)) {
	if t == nil || chosen == "" {
		return
	}
	c := &t.arms
	if n < 2 {
		c.of(chosen).forced.Add(1)
		return
	}
	c.of(chosen).chosen.Add(1)
	if c.choices.Add(1)%eligibleEvery != 1 {
		return
	}
	for i := range n {
		if a := c.of(candidate(i)); !a.eligible.Load() {
			a.eligible.Store(true)
		}
	}
}

// take empties the counts. An arm that could have been chosen and was not is told
// once a day. Where there is no room for further arms, all leave with the day; what
// is counted in that moment is lost.
func (c *armCounts) take(today Date) (arms []ArmCount) {
	all := c.counts.Load()
	if all == nil {
		return nil
	}
	take := func(offerID string, n *armCount) {
		a := ArmCount{offerID, n.chosen.Swap(0), n.forced.Swap(0)}
		if a.served() > 0 || (n.told != today && n.eligible.Swap(false)) {
			arms, n.told = append(arms, a), today
		}
	}
	for offerID, n := range *all {
		take(offerID, n)
	}
	take("", &c.others)
	slices.SortFunc(arms, func(a, b ArmCount) int { return strings.Compare(a.OfferID, b.OfferID) })
	if c.taken != today && len(*all) >= MaxArms {
		c.mu.Lock()
		c.counts.Store(nil)
		c.mu.Unlock()
	}
	c.taken = today
	return arms
}
