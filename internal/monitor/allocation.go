package monitor

import (
	"math"
	"slices"
)

// Allocation is how a bandit's decisions were spread over its arms.
type Allocation struct {
	Served uint64 `json:"served"` // decisions
	// Forced are those among them that had one offer alone: the request named it.
	Forced   uint64 `json:"forced"`
	Eligible int    `json:"eligible"` // arms that could be chosen, of the last days
	// Entropy is −Σ pᵢ ln pᵢ over the arms' shares, divided by ln of the eligible
	// arms: 1 when all are served alike, 0 when one alone is. null without a decision
	// and with fewer than two arms.
	Entropy *float64 `json:"entropy"`
	// Leader is the arm that was served most.
	Leader      string  `json:"leader,omitempty"`
	LeaderShare float64 `json:"leaderShare"`
}

// DayAllocation is that of one day.
type DayAllocation struct {
	Date Date `json:"date"`
	Allocation
}

// arms returns the counts of the days from one to another, both included.
func (l *Life) arms(from, to Date) (all []ArmCount) {
	for _, d := range l.Days {
		if d.Date >= from && d.Date <= to {
			all = addArms(all, d.Arms)
		}
	}
	return all
}

// allocate sums up counts of arms of which eligible could be chosen.
func allocate(arms []ArmCount, eligible int) (a Allocation) {
	a.Eligible = eligible
	most := uint64(0)
	for i := range arms {
		n := arms[i].served()
		a.Served += n
		a.Forced += arms[i].Forced
		if n > most {
			most, a.Leader = n, arms[i].OfferID
		}
	}
	if a.Served == 0 {
		return a
	}
	a.LeaderShare = float64(most) / float64(a.Served)
	if eligible < 2 {
		return a
	}
	h := 0.0
	for i := range arms {
		if p := float64(arms[i].served()) / float64(a.Served); p > 0 {
			h -= p * math.Log(p)
		}
	}
	a.Entropy = ref(min(h/math.Log(float64(eligible)), 1))
	return a
}

// eligible counts the arms that could be chosen in the week up to a date: those
// that were seen among the candidates or served. Where that is one alone, as when
// requests name it, it is all the model knows.
func (l *Life) eligible(date Date, known int) int {
	if n := len(l.arms(date-weekDays+1, date)); n >= 2 {
		return n
	}
	return known
}

// allocation is that of a day.
func (l *Life) allocation(date Date, known int) Allocation {
	return allocate(l.arms(date, date), l.eligible(date, known))
}

// leastServed is how many decisions a day must have to be judged: the entropy of a
// hundred among ten arms that are served alike is 0.98 with a standard deviation
// of 0.01 (G. A. Miller's correction of the bias is (K−1)/2n nats; in: Information
// Theory in Psychology, 1955), far above leastEntropy.
const leastServed = 100

// leastEntropy is when an allocation has collapsed: with two arms when one is
// served to 97 %, with ten when one is served to 92 %. The exploration of an
// ε-greedy bandit with the usual ε of 0.1 alone keeps it above, at 0.22 with ten
// arms and 0.29 with two.
const leastEntropy = 0.2

// collapsed judges a day by itself or, while it has too few decisions, by the day
// before.
func (l *Life) collapsed(date Date, known int) (a Allocation, broken bool) {
	if a = l.allocation(date, known); a.Served < leastServed {
		a = l.allocation(date-1, known)
	}
	return a, a.Served >= leastServed && a.Entropy != nil && *a.Entropy < leastEntropy
}

// mostServed orders the arms by how often they were served, and of those as many
// as may be shown.
func mostServed(arms []ArmCount, most int) []ArmCount {
	sorted := slices.Clone(arms)
	slices.SortStableFunc(sorted, func(a, b ArmCount) int {
		switch x, y := a.served(), b.served(); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return sorted[:min(len(sorted), most)]
}
