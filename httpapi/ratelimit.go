package httpapi

import (
	"fmt"
	"strconv"
	"sync"
	"time"
)

// Class groups routes for rate limits.
type Class string

// The classes.
const (
	ClassRead    Class = "read"
	ClassWrite   Class = "write"
	ClassScore   Class = "score"
	ClassRespond Class = "respond"
	ClassTrain   Class = "train"
	ClassAdmin   Class = "admin"
	ClassServe   Class = "serve"
)

// Classes lists the classes that can be limited.
var Classes = []Class{ClassRead, ClassWrite, ClassScore, ClassRespond, ClassTrain, ClassAdmin, ClassServe}

func (c Class) valid() bool {
	for _, k := range Classes {
		if c == k {
			return true
		}
	}
	return false
}

// RateLimit permits Requests in any span of Window.
type RateLimit struct {
	Requests int
	Window   time.Duration
}

// maxRateRequests bounds the memory of one window: a time per request.
const maxRateRequests = 100_000

func (l RateLimit) validate() error {
	if l.Requests < 1 || l.Requests > maxRateRequests || l.Window < time.Second {
		return fmt.Errorf("1 to %d requests in at least 1s, got %d in %v", maxRateRequests, l.Requests, l.Window)
	}
	return nil
}

// limiter holds the windows of one class, one per tenant. The window slides
// exactly: it remembers when each admitted request came.
type limiter struct {
	class  Class
	limit  RateLimit
	policy string // RateLimit-Policy of every answer

	mu      sync.Mutex
	windows map[string]*window
}

// maxWindows bounds how many tenants one class remembers. Beyond it the windows
// without a request left in them go first, then any one: a tenant that loses
// its window may send its share once more, and memory stays bounded.
const maxWindows = 10_000

// window is a ring of the times of the admitted requests, oldest at head.
type window struct {
	times []int64 // Unix nanoseconds
	head  int
	n     int
}

func newLimiter(class Class, l RateLimit) *limiter {
	return &limiter{
		class: class, limit: l, windows: make(map[string]*window),
		policy: fmt.Sprintf(`"%s";q=%d;w=%d`, class, l.Requests, int(l.Window.Seconds())),
	}
}

// allow admits or refuses a request of the tenant at now. remaining is how many
// more are admitted at once, wait when the next place becomes free.
func (l *limiter) allow(tenant string, now time.Time) (ok bool, remaining int, wait time.Duration) {
	t := now.UnixNano()
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.windows[tenant]
	if w == nil {
		l.makeRoom(t)
		w = &window{}
		l.windows[tenant] = w
	}
	w.expire(t - int64(l.limit.Window))
	if w.n >= l.limit.Requests {
		return false, 0, time.Duration(w.times[w.head] + int64(l.limit.Window) - t)
	}
	w.push(t, l.limit.Requests)
	return true, l.limit.Requests - w.n, time.Duration(w.times[w.head] + int64(l.limit.Window) - t)
}

// makeRoom drops windows when there are too many.
func (l *limiter) makeRoom(now int64) {
	if len(l.windows) < maxWindows {
		return
	}
	for tenant, w := range l.windows {
		if w.expire(now - int64(l.limit.Window)); w.n == 0 {
			delete(l.windows, tenant)
		}
	}
	for tenant := range l.windows {
		if len(l.windows) < maxWindows*9/10 { // so that this is not done for every request
			return
		}
		delete(l.windows, tenant)
	}
}

// expire forgets the requests at or before the time.
func (w *window) expire(before int64) {
	for w.n > 0 && w.times[w.head] <= before {
		w.head = (w.head + 1) % len(w.times)
		w.n--
	}
}

// push adds a request; the ring grows to at most most.
func (w *window) push(t int64, most int) {
	if w.n == len(w.times) {
		grown := make([]int64, min(max(2*w.n, 8), most))
		for i := range w.n {
			grown[i] = w.times[(w.head+i)%len(w.times)]
		}
		w.times, w.head = grown, 0
	}
	w.times[(w.head+w.n)%len(w.times)] = t
	w.n++
}

// seconds rounds up, as Retry-After counts.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// state renders the RateLimit header.
func (l *limiter) state(remaining int, wait time.Duration) string {
	return `"` + string(l.class) + `";r=` + strconv.Itoa(remaining) + ";t=" + strconv.Itoa(seconds(wait))
}
