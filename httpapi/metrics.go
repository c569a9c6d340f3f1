package httpapi

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the server's series. Tenants and models are not labels: their
// number is unbounded.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
	rejected *prometheus.CounterVec
	panics   prometheus.Counter
	streams  prometheus.Gauge
	cut      *prometheus.CounterVec
}

// The reasons of praetor_event_streams_cut_total.
const (
	cutSlow     = "slow"
	cutKey      = "key"
	cutNotReady = "not_ready"
	cutShutdown = "shutdown"
)

// The reasons of praetor_http_rejected_total.
const (
	rejectConns = "connections"
	rejectPerIP = "connections_per_ip"
	rejectRate  = "rate_limit"
	rejectParse = "malformed"
	rejectBody  = "body_too_large"
	rejectAuth  = "unauthorized"
	rejectRole  = "forbidden"
	rejectPath  = "no_route"
)

// durationBuckets span a score on a warm node (tens of microseconds) to a
// training in the foreground.
var durationBuckets = []float64{
	25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5, 5, 10, 30,
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "praetor_http_requests_total", Help: "Requests answered, by route and class of status.",
		}, []string{"method", "route", "class"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "praetor_http_request_duration_seconds", Help: "Time in the handler, reading the body included.",
			Buckets: durationBuckets,
		}, []string{"method", "route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "praetor_http_in_flight_requests", Help: "Requests being handled.",
		}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "praetor_http_rejected_total", Help: "Connections and requests refused before their handler, by reason.",
		}, []string{"reason"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "praetor_http_panics_total", Help: "Handlers that panicked and were answered with 500.",
		}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "praetor_event_streams", Help: "Streams of events that are open.",
		}),
		cut: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "praetor_event_streams_cut_total", Help: "Streams of events that this node ended, by reason.",
		}, []string{"reason"}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.inFlight, m.rejected, m.panics, m.streams, m.cut} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// routeMetrics are one route's handles, bound at start.
type routeMetrics struct {
	classes [6]prometheus.Counter // by hundreds of the status
	seconds prometheus.Observer
}

var statusClasses = [...]string{2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}

func (m *metrics) route(method, path string) *routeMetrics {
	rm := &routeMetrics{seconds: m.seconds.WithLabelValues(method, path)}
	for i, class := range statusClasses {
		if class != "" {
			rm.classes[i] = m.requests.WithLabelValues(method, path, class)
		}
	}
	return rm
}

func (rm *routeMetrics) observe(status int, took time.Duration) {
	rm.seconds.Observe(took.Seconds())
	if class := status / 100; class >= 2 && class <= 5 {
		rm.classes[class].Inc()
	}
}

// reject counts a refusal.
func (m *metrics) reject(reason string) { m.rejected.WithLabelValues(reason).Inc() }
