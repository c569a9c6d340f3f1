package monitor

import (
	"maps"
	"slices"
	"sync"

	"github.com/praetor-engine/praetor/internal/decision"
)

// The bounds of what the Book keeps.
const (
	// KeptDays is how many days are kept of a model, today's included.
	KeptDays = 35
	// MinReference is how many scores make a reference: a hundred in each of the
	// groups of a PSI.
	MinReference = 100 * psiGroups
	// MaxDrifts is how many predictors' drifts are kept of a model.
	MaxDrifts = 100
)

// Drift is how far the distribution of an input has moved since training.
type Drift struct {
	Field  string  `json:"field"`
	Member string  `json:"member,omitempty"` // of a set
	PSI    float64 `json:"psi"`
}

// Life is what is known of one model.
type Life struct {
	// Days are those on which something happened, ascending.
	Days []*Day
	// LastResponse is when the newest response was recorded, 0 when none was.
	LastResponse decision.Time
	// Since is when the first thing was known of the model.
	Since decision.Time
	// Reference counts the scores that later ones are compared with, those served
	// from ReferenceFrom to ReferenceTo.
	Reference                  Histogram
	ReferenceFrom, ReferenceTo Date
	// Drifts are those of the inputs as of DriftsAt, the greatest first.
	Drifts   []Drift
	DriftsAt decision.Time
	// Open are the alerts that stand, Closed the newest of those that did, both in
	// the order of the log.
	Open, Closed []Standing
	// Resets are the newest of those that somebody made, oldest first.
	Resets []Reset

	era uint64 // see Book
}

// Book holds the lives of all models. It changes by the log alone: one goroutine
// changes it, others may read. A reader, or a snapshot, gets what is there by
// reference and nobody changes that any more: whoever changes a life or a day of
// an earlier era than the Book's clones it first.
type Book struct {
	mu    sync.RWMutex
	era   uint64
	lives map[string]map[string]*Life // tenant → model
}

// NewBook returns an empty book.
func NewBook() *Book { return &Book{lives: map[string]map[string]*Life{}} }

// life returns a life to be changed.
func (b *Book) life(tenant, model string, now decision.Time) *Life {
	models := b.lives[tenant]
	if models == nil {
		models = map[string]*Life{}
		b.lives[tenant] = models
	}
	l := models[model]
	switch {
	case l == nil:
		l = &Life{Since: now, era: b.era}
		models[model] = l
	case l.era != b.era:
		c := *l
		c.Days, c.Reference, c.era = slices.Clone(l.Days), l.Reference.clone(), b.era
		l = &c
		models[model] = l
	}
	return l
}

// day returns a day of a life to be changed, nil for one that is too long ago, or
// not to come before tomorrow.
func (b *Book) day(l *Life, date Date, now decision.Time) *Day {
	today := DateOf(now)
	if date <= today-KeptDays || date > today+1 {
		return nil
	}
	at, found := slices.BinarySearchFunc(l.Days, date, func(d *Day, date Date) int { return int(d.Date) - int(date) })
	if !found {
		if old, _ := slices.BinarySearchFunc(l.Days, today-KeptDays+1, func(d *Day, date Date) int { return int(d.Date) - int(date) }); old > 0 {
			l.Days = slices.Delete(l.Days, 0, old)
			at -= old
		}
		l.Days = slices.Insert(l.Days, at, &Day{Date: date, era: b.era})
		b.forgetArms(l, today)
	}
	if l.Days[at].era != b.era {
		l.Days[at] = l.Days[at].clone()
		l.Days[at].era = b.era
	}
	return l.Days[at]
}

// forgetArms drops the arms of days that are too long ago.
func (b *Book) forgetArms(l *Life, today Date) {
	for i, d := range l.Days {
		if d.Date > today-ArmDays || len(d.Arms) == 0 {
			continue
		}
		if d.era != b.era {
			d = d.clone()
			d.era, l.Days[i] = b.era, d
		}
		d.Arms = nil
	}
}

// Respond counts a response that names the model: recorded now, of the time at.
func (b *Book) Respond(tenant, model string, at, now decision.Time, positive bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.life(tenant, model, now)
	l.LastResponse = max(l.LastResponse, now)
	d := b.day(l, DateOf(at), now)
	if d == nil {
		return
	}
	d.Responses++
	if positive {
		d.Positives++
	}
}

// Add adds what a node learned. A delta of a day that is not kept is dropped, but
// for the time of its responses.
func (b *Book) Add(d *Delta, now decision.Time) error {
	if err := d.check(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.life(d.Tenant, d.Model, now)
	if d.Responses > 0 {
		l.LastResponse = max(l.LastResponse, now)
	}
	day := b.day(l, Date(d.Day), now)
	if day == nil {
		return nil
	}
	day.Responses += d.Responses
	day.Positives += d.ResponsePositives
	day.LogLoss += d.LogLoss
	d.Scores.addTo(&day.Scores)
	d.Negatives.addTo(&day.Joined[0])
	d.Positives.addTo(&day.Joined[1])
	if Date(d.Day) > DateOf(now)-ArmDays {
		day.Arms = addArms(day.Arms, d.Arms)
	}
	if len(d.Scores) > 0 && l.takesReference(Date(d.Day)) {
		d.Scores.addTo(&l.Reference)
	}
	return nil
}

// takesReference reports whether the day's scores belong to the reference, which
// ends with the day that fills it.
func (l *Life) takesReference(date Date) bool {
	switch {
	case len(l.Reference.counts) == 0:
		l.ReferenceFrom, l.ReferenceTo = date, date
		return true
	case date <= l.ReferenceTo:
		return date >= l.ReferenceFrom
	case l.Reference.Total() >= MinReference:
		return false
	}
	l.ReferenceTo = date
	return true
}

// Renew begins a new reference: the model was trained, reset or restored.
func (b *Book) Renew(tenant, model string, now decision.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lives[tenant][model] == nil {
		return
	}
	l := b.life(tenant, model, now)
	l.Reference, l.ReferenceFrom, l.ReferenceTo = Histogram{}, 0, 0
	l.Drifts, l.DriftsAt = nil, 0
}

// Drifted replaces the drifts of the model's inputs.
func (b *Book) Drifted(tenant, model string, drifts []Drift, now decision.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.life(tenant, model, now)
	l.Drifts, l.DriftsAt = drifts[:min(len(drifts), MaxDrifts)], now
}

// Reset notes that what the model learned of a scope was reset.
func (b *Book) Reset(tenant, model, scope string, now decision.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.life(tenant, model, now)
	l.Resets = append(slices.Clone(l.Resets), Reset{scope, now})
	if over := len(l.Resets) - keptResets; over > 0 {
		l.Resets = l.Resets[over:]
	}
}

// Drop forgets a model. It returns the alerts that stood, now closed.
func (b *Book) Drop(tenant, model string, now decision.Time) (closed []Standing) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.lives[tenant][model]; l != nil {
		for _, s := range l.Open {
			closed = append(closed, s.closed(ReasonDeleted, now))
		}
	}
	delete(b.lives[tenant], model)
	return closed
}

// DropTenant forgets all models of a tenant.
func (b *Book) DropTenant(tenant string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.lives, tenant)
}

// Life returns what is known of a model; it is not to be changed, and stays as it
// is. nil: nothing is known.
func (b *Book) Life(tenant, model string) *Life {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.era++
	return b.lives[tenant][model]
}

// Tenant returns the lives of a tenant's models, as Life does.
func (b *Book) Tenant(tenant string) map[string]*Life {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.era++
	return maps.Clone(b.lives[tenant])
}

// Capture is the Book as of one moment.
type Capture struct{ lives map[string]map[string]*Life }

// Capture takes the Book by reference.
func (b *Book) Capture() *Capture {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.era++
	lives := make(map[string]map[string]*Life, len(b.lives))
	for tenant, models := range b.lives {
		lives[tenant] = maps.Clone(models)
	}
	return &Capture{lives}
}

// Replace replaces everything by what the capture holds, by nothing when it is
// nil.
func (b *Book) Replace(c *Capture) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.era++
	b.lives = map[string]map[string]*Life{}
	if c != nil {
		b.lives = c.lives
	}
}
