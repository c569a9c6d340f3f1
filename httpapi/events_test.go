package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/praetor-engine/praetor/internal/engine"
	"github.com/praetor-engine/praetor/internal/event"
)

// sseFrame is one message of a stream: its fields, and its comments.
type sseFrame struct{ id, event, data, comment string }

// stream is a stream of events as a client reads it.
type stream struct {
	t    testing.TB
	resp *http.Response
	r    *bufio.Reader
	stop context.CancelFunc
}

func (a *api) stream(query, key string, headers ...string) *stream {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	req, err := http.NewRequestWithContext(ctx, get, "http://"+a.addr+"/api/v1/events"+query, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { cancel(); resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != mediaEvents || resp.Header.Get("Cache-Control") != "no-store" {
		a.t.Fatalf("a stream begins with %d %v", resp.StatusCode, resp.Header)
	}
	return &stream{a.t, resp, bufio.NewReader(resp.Body), cancel}
}

// next reads a frame; ok is false at the end of the stream.
func (s *stream) next() (f sseFrame, ok bool) {
	s.t.Helper()
	any := false
	for {
		line, err := s.r.ReadString('\n')
		if err != nil {
			return f, false
		}
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			if any {
				return f, true
			}
			continue
		}
		any = true
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "":
			f.comment = value
		case "id":
			f.id = value
		case "event":
			f.event = value
		case "data":
			f.data = value
		case "retry":
		default:
			s.t.Errorf("the stream has the line %q", line)
		}
	}
}

// event reads up to the next event.
func (s *stream) event(kind string) sseFrame {
	s.t.Helper()
	for {
		f, ok := s.next()
		if !ok {
			s.t.Fatalf("the stream ended, want %s", kind)
		}
		if f.event == "" {
			continue
		}
		if f.event != kind {
			s.t.Fatalf("got %+v, want %s", f, kind)
		}
		return f
	}
}

// last reads the comment that ends the stream.
func (s *stream) last() (comment string) {
	s.t.Helper()
	for {
		f, ok := s.next()
		if !ok {
			return comment
		}
		if f.event != "" {
			s.t.Errorf("got %+v, want the end of the stream", f)
		}
		comment = f.comment
	}
}

// fresh makes a scorecard, which is one event.
func (a *api) fresh(key string) string { return a.create(fmt.Sprintf(scorecardBody, key)) }

func (a *api) page(query, key string) (p struct {
	Data    []struct{ ID, Type string }
	Cursor  string
	HasMore bool
	Missed  bool
}) {
	a.t.Helper()
	a.must(200, get, "/api/v1/events?format=json"+query, key, "").into(a.t, &p)
	return p
}

func (a *api) wantMetric(line string) {
	a.t.Helper()
	if r := a.must(200, get, "/metrics", "", ""); !strings.Contains(string(r.body), "\n"+line+"\n") {
		a.t.Errorf("the metrics lack %s", line)
	}
}

func TestStreamOfEvents(t *testing.T) {
	a := startAPI(t)
	a.streams.heartbeat = 50 * time.Millisecond
	before := a.fresh("before")
	s := a.stream("?types=registry.*,model.created", a.viewer)
	first, ok := s.next()
	if !ok || first.id == "" || first.event != "" || first.comment != "heartbeat" {
		t.Errorf("a stream begins with %+v", first)
	}
	id := a.fresh("m")
	created := s.event("model.created")
	if !strings.Contains(created.data, `"modelId":"`+id+`"`) || !strings.HasPrefix(created.data, `{"id":"`+created.id+`","type":"model.created","tenantId":"acme"`) {
		t.Errorf("got %+v", created)
	}
	a.must(204, remove, "/api/v1/algorithm-models/"+before, a.editor, "") // an event that is not chosen
	a.stand(id, "challenger")
	a.stand(id, "champion")
	challenger := s.event("registry.status_changed")
	s.event("registry.status_changed")
	crowned := s.event("registry.champion_changed")
	s.stop()
	// It goes on behind any of them, by the header before the parameter.
	for _, again := range []*stream{
		a.stream("?types=registry.*&after="+challenger.id, a.viewer), a.stream("?types=registry.*&after="+crowned.id, a.viewer, "Last-Event-ID: "+challenger.id),
	} {
		again.event("registry.status_changed")
		if got := again.event("registry.champion_changed"); got != crowned {
			t.Errorf("the second time it is %+v, want %+v", got, crowned)
		}
		again.stop()
	}
	all := a.stream("?after=oldest", a.viewer)
	for _, want := range []string{"model.created", "model.created"} {
		all.event(want)
	}
	// Pages have the same.
	var ids []string
	for after, more := "", true; more; {
		p := a.page("&limit=2"+after, a.viewer)
		for _, e := range p.Data {
			ids = append(ids, e.ID+" "+e.Type)
		}
		if p.Missed || len(p.Data) > 2 {
			t.Errorf("page %+v", p)
		}
		after, more = "&after="+p.Cursor, p.HasMore
	}
	if len(ids) < 5 || ids[len(ids)-1] != crowned.id+" registry.champion_changed" {
		t.Errorf("the pages have %v", ids)
	}
	if p := a.page("&after=latest", a.viewer); len(p.Data) != 0 || p.HasMore || p.Cursor != crowned.id {
		t.Errorf("behind the latest: %+v", p)
	}
	// Nothing of it is another tenant's.
	if p := a.page("", a.stranger); len(p.Data) != 0 {
		t.Errorf("another tenant sees %+v", p)
	}
	theirs := a.stream("?after="+first.id, a.stranger)
	a.must(201, post, "/api/v1/algorithm-models", a.stranger, fmt.Sprintf(banditBody, "theirs"))
	if f := theirs.event("model.created"); !strings.Contains(f.data, `"tenantId":"other"`) {
		t.Errorf("another tenant's stream has %+v", f)
	}
	if r := a.do("HEAD", "/api/v1/events", a.viewer, ""); r.status != 200 || r.header.Get("Content-Type") != mediaEvents {
		t.Errorf("HEAD: got %d %v", r.status, r.header)
	}
	for _, s := range []*stream{all, theirs} {
		s.stop()
	}
	waitFor(t, func() bool {
		a.streams.mu.Lock()
		defer a.streams.mu.Unlock()
		return a.streams.open == 0 && len(a.streams.byTenant) == 0
	})
	a.wantMetric("praetor_event_streams 0")
}

// A place that is not kept any more is told, at the beginning and in the middle; no
// event is left out silently.
func TestStreamTellsWhatIsMissing(t *testing.T) {
	a := startAPI(t)
	a.fresh("first")
	begin := a.page("", a.viewer).Cursor
	x := &eventStream{rq: &request{server: a.Server}, tenant: "acme"}
	id, _ := event.ParseID(begin)
	view := event.View{Dropped: event.ID{Index: id.Index + 5, Seq: 1}, Events: []event.Event{
		{ID: event.ID{Index: id.Index + 6, Seq: 1}, Type: event.ModelReset, TenantID: "acme", Data: json.RawMessage(`{}`)},
	}}
	got := string(appendReset(nil, id, &view))
	if want := "id: " + view.Dropped.String() + "\nevent: reset\ndata: {\"after\":\"" + begin + "\",\"through\":\"" + view.Dropped.String() + "\"}\n\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// From where the store dropped: whole, through the handler's own code.
	store := event.NewStore()
	for i := range uint64(event.MaxEvents + 3) {
		store.Append(event.Event{ID: event.ID{Index: i + 1, Seq: 1}, Type: event.ModelReset, TenantID: "acme", At: 5, Data: json.RawMessage(`{}`)})
	}
	full := store.View("acme")
	x.at = event.ID{Index: 1, Seq: 1}
	out := string(x.frames(nil, &full))
	frames := strings.Split(strings.TrimSuffix(out, "\n\n"), "\n\n")
	if len(frames) != 1+streamBatch || !strings.Contains(frames[0], "event: reset\n") || !strings.HasPrefix(frames[1], "id: "+event.ID{Index: 4, Seq: 1}.String()) {
		t.Errorf("%d frames, beginning with\n%s\n%s", len(frames), frames[0], frames[1])
	}
	if x.at != (event.ID{Index: 3 + streamBatch, Seq: 1}) {
		t.Errorf("the stream is at %v", x.at)
	}
	// The same stream, up to date once, is cut when it is far behind.
	x.current = true
	if out := string(x.frames(nil, &full)); !x.ended || !strings.HasPrefix(out, ": the stream fell ") || !strings.HasSuffix(out, "connect again to go on from the last one\n\n") {
		t.Errorf("a stream that is far behind goes on with %.200s", out)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	a := startAPI(t)
	a.streams.most = 5 // of which one tenant may have one
	s := a.stream("", a.viewer)
	if e := a.must(429, get, "/api/v1/events", a.editor, "").failure(t); !strings.Contains(e.Message, "a tenant may have") {
		t.Errorf("got %+v", e)
	}
	theirs := a.stream("", a.stranger)
	a.streams.mu.Lock()
	a.streams.most = 2
	a.streams.mu.Unlock()
	r := a.must(503, get, "/api/v1/events", a.stranger, "")
	if r.header.Get("Retry-After") == "" {
		t.Errorf("got %v", r.header)
	}
	a.must(200, get, "/api/v1/events?format=json", a.viewer, "")
	s.stop()
	theirs.stop()
}

// A stream beats while nothing happens; it ends when its key does, when the node is
// not ready, and when it stops, and says so.
func TestStreamsEnd(t *testing.T) {
	a := startAPI(t)
	a.streams.heartbeat = 20 * time.Millisecond
	var k struct{ ID, Key string }
	a.must(201, post, "/api/v1/api-keys", a.admin, `{"name":"temp","role":"viewer"}`).into(t, &k)
	s := a.stream("?types=model.trained", k.Key)
	id := a.fresh("m")
	for beats, at := 0, ""; beats < 3 || at != a.page("", a.viewer).Cursor; beats++ {
		f, ok := s.next()
		if !ok || f.comment != "heartbeat" || f.id == "" {
			t.Fatalf("got %+v, %v, want a heartbeat", f, ok)
		}
		at = f.id // goes on although the filter chooses nothing
	}
	a.must(204, remove, "/api/v1/api-keys/"+k.ID, a.admin, "")
	if got := s.last(); got != "the key was revoked or has expired" {
		t.Errorf("the stream ends with %q", got)
	}
	s = a.stream("", a.viewer)
	a.stand(id, "challenger")
	s.event("registry.status_changed")
	a.Drain()
	a.Drain() // twice is once
	if got := s.last(); got != "this node stops; connect again, to another node" {
		t.Errorf("the stream ends with %q", got)
	}
	a.wantMetric(`praetor_event_streams_cut_total{reason="key"} 1`)
	a.wantMetric(`praetor_event_streams_cut_total{reason="shutdown"} 1`)
}

func TestWebhooksOverHTTP(t *testing.T) {
	type message struct {
		header http.Header
		kind   string
	}
	took := make(chan message, 100)
	status := http.StatusOK
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e struct{ Type string }
		_ = json.NewDecoder(r.Body).Decode(&e)
		took <- message{r.Header, e.Type}
		w.WriteHeader(status)
	}))
	defer hook.Close()
	a := startAPI(t, func(c *engine.Config) { c.Endpoints.AllowHTTP, c.Endpoints.Allow = true, []string{"127.0.0.1"} })
	body := fmt.Sprintf(`{"url":%q,"eventTypes":["registry.*"]}`, hook.URL)
	var w struct {
		ID, Secret string
		Enabled    bool
	}
	a.must(201, post, "/api/v1/webhooks", a.admin, body, "Idempotency-Key: one").into(t, &w)
	first := w
	a.must(201, post, "/api/v1/webhooks", a.admin, body, "Idempotency-Key: one").into(t, &w)
	if w != first || !strings.HasPrefix(w.Secret, "whsec_") || !w.Enabled {
		t.Errorf("the same request again made %+v, the first %+v", w, first)
	}
	path := "/api/v1/webhooks/" + w.ID
	id := a.fresh("m")
	a.stand(id, "challenger")
	if m := <-took; m.kind != "registry.status_changed" || m.header.Get("webhook-id") == "" || !strings.HasPrefix(m.header.Get("webhook-signature"), "v1,") {
		t.Errorf("the webhook got %+v", m)
	}
	waitFor(t, func() bool {
		var got struct {
			Delivery struct{ Delivered, Pending int }
		}
		a.must(200, get, path, a.admin, "").into(t, &got)
		return got.Delivery.Delivered == 1 && got.Delivery.Pending == 0
	})
	r := a.must(200, post, path+"/rotate-secret", a.admin, `{"overlapSeconds":60}`)
	var rotated struct{ Secret string }
	if r.into(t, &rotated); rotated.Secret == w.Secret || strings.Contains(string(r.body), w.Secret) {
		t.Errorf("rotated to %s", r.body)
	}
	a.must(200, post, path+"/rotate-secret", a.admin, "")
	a.must(200, post, path+"/test", a.admin, "")
	if m := <-took; m.kind != "webhook.test" || len(strings.Fields(m.header.Get("webhook-signature"))) != 2 {
		t.Errorf("the webhook got %+v", m)
	}
	status = http.StatusTeapot
	if r := a.must(200, post, path+"/test", a.admin, "{}"); !strings.Contains(string(r.body), `"delivered":false,"status":418`) {
		t.Errorf("a test that fails: %s", r.body)
	}
	<-took
	a.stand(id, "champion")
	waitFor(t, func() bool {
		return strings.Contains(string(a.must(200, get, path, a.admin, "").body), `"status":418`)
	})
	if r := a.must(200, put, path, a.admin, `{"enabled":false,"description":"off"}`); !strings.Contains(string(r.body), `"enabled":false,"disabledReason":"request"`) {
		t.Errorf("disabled: %s", r.body)
	}
	list := a.must(200, get, "/api/v1/webhooks?limit=1", a.admin, "")
	for _, secret := range []string{w.Secret, rotated.Secret} {
		for _, answer := range []*reply{list, a.must(200, get, path, a.admin, ""), a.must(200, get, "/api/v1/audit-logs", a.admin, ""), a.must(200, get, "/api/v1/events?format=json", a.viewer, "")} {
			if strings.Contains(string(answer.body), secret[len("whsec_"):]) {
				t.Errorf("a secret is in %s", answer.body)
			}
		}
	}
	for _, tc := range []struct{ method, path, body string }{
		{get, "", ""}, {put, "", `{}`}, {remove, "", ""}, {post, "/rotate-secret", ""}, {post, "/test", ""},
	} {
		theirs := a.must(404, tc.method, path+tc.path, a.stranger, tc.body).failure(t).Message
		absent := a.must(404, tc.method, "/api/v1/webhooks/absent"+tc.path, a.stranger, tc.body).failure(t).Message
		if strings.ReplaceAll(theirs, w.ID, "X") != strings.ReplaceAll(absent, "absent", "X") {
			t.Errorf("%s %s: got %q for another tenant's webhook, %q for an absent one", tc.method, tc.path, theirs, absent)
		}
	}
	if r := a.must(200, get, "/api/v1/webhooks", a.stranger, ""); !strings.Contains(string(r.body), `"data":[]`) {
		t.Errorf("another tenant sees %s", r.body)
	}
	for i := range 20 {
		want := 201
		if i == 19 {
			want = 409
		}
		a.must(want, post, "/api/v1/webhooks", a.admin, fmt.Sprintf(`{"url":%q}`, hook.URL))
	}
	for cursor, n := "", 0; ; n++ {
		var l struct {
			Data       []struct{ ID string }
			Pagination struct {
				Total   int
				HasMore bool
				Cursor  string
			}
		}
		a.must(200, get, "/api/v1/webhooks?limit=8"+cursor, a.admin, "").into(t, &l)
		if l.Pagination.Total != 20 || len(l.Data) != []int{8, 8, 4}[n] {
			t.Errorf("page %d has %d of %d", n, len(l.Data), l.Pagination.Total)
		}
		if !l.Pagination.HasMore {
			if l.Data[3].ID != w.ID || n != 2 {
				t.Errorf("the last of page %d is %s, want the oldest", n, l.Data[3].ID)
			}
			break
		}
		cursor = "&cursor=" + l.Pagination.Cursor
	}
	a.must(204, remove, path, a.admin, "")
	a.must(404, get, path, a.admin, "")
}
