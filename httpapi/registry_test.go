package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/praetor-engine/praetor/internal/catalogue"
)

// stand brings a model to a standing.
func (a *api) stand(id, status string) *reply {
	a.t.Helper()
	return a.must(200, post, "/api/v1/models/"+id+"/registry", a.admin, fmt.Sprintf(`{"status":%q}`, status))
}

// inFamily makes a scorecard of a family and makes it a challenger.
func (a *api) inFamily(key, family string) string {
	a.t.Helper()
	id := a.create(fmt.Sprintf(`{"key":%q,"name":"N","family":%q,"modelType":"scorecard","config":{"baseScore":%d}}`, key, family, len(key)))
	a.stand(id, "challenger")
	return id
}

// The registry's routes as the API's documentation has them.
func TestRegistryRoutes(t *testing.T) {
	a := startAPI(t)
	old, id := a.inFamily("old", "cards"), a.inFamily("next", "cards")
	path := "/api/v1/models/" + id + "/registry"
	a.stand(old, "champion")

	r := a.must(200, post, path, a.admin, `{"status":"champion","actor":"alice@example.com","metricsSnapshot":{"auc":0.79,"accuracy":0.83}}`, "Idempotency-Key: p1")
	if got, want := strings.TrimSpace(string(r.body)), fmt.Sprintf(`{"modelId":%q,"previousStatus":"challenger","newStatus":"champion","demotedChampionId":%q}`, id, old); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if r.header.Get("X-Applied-Index") == "" || r.header.Get("RateLimit-Policy") != `"registry";q=60;w=60` || !strings.HasPrefix(r.header.Get("RateLimit"), `"registry";r=56;t=`) {
		t.Errorf("got the headers %v", r.header)
	}
	again := a.must(200, post, path, a.admin, `{"status":"champion","actor":"alice@example.com","metricsSnapshot":{"auc":0.79,"accuracy":0.83}}`, "Idempotency-Key: p1")
	if string(again.body) != string(r.body) {
		t.Errorf("repeated: got %s, want the first answer %s", again.body, r.body)
	}
	a.must(409, post, path, a.admin, `{"status":"challenger"}`, "Idempotency-Key: p1")

	var entry struct {
		ModelID, ModelName, ModelType string
		Registry                      struct {
			Status, Family, PromotedAt, PromotedBy, PreviousStatus string
			MetricsAtPromotion                                     map[string]float64
		}
	}
	a.must(200, get, path+"?consistency=strong", a.viewer, "").into(t, &entry)
	if g := entry.Registry; entry.ModelID != id || entry.ModelName != "N" || entry.ModelType != "scorecard" || g.Status != "champion" || g.Family != "cards" ||
		g.PromotedAt == "" || g.PromotedBy != "alice@example.com" || g.PreviousStatus != "challenger" || g.MetricsAtPromotion["auc"] != 0.79 {
		t.Errorf("the registry entry: got %+v", entry)
	}
	a.must(200, get, "/api/v1/models/"+old+"/registry", a.viewer, "").into(t, &entry)
	if entry.Registry.Status != "challenger" || entry.Registry.PreviousStatus != "champion" || entry.Registry.PromotedBy != "admin of acme" {
		t.Errorf("the displaced champion's entry: got %+v", entry)
	}

	// The refusals.
	wantReason := func(reason, body string) *reply {
		t.Helper()
		r := a.must(400, post, path, a.admin, body)
		if got := r.failure(t).Reason; got != reason {
			t.Errorf("%s: refused for %q, want %q", body, got, reason)
		}
		return r
	}
	wantReason(catalogue.ReasonInvalidTransition, `{"status":"champion"}`)
	wantReason(catalogue.ReasonInvalidTransition, `{"status":"draft"}`)
	wantReason("", `{"status":"boss"}`)
	wantReason("", `{}`)
	a.must(401, post, path, "", `{"status":"archived"}`)
	a.must(401, post, path, "prk_unknown", `{"status":"archived"}`)
	a.must(403, post, path, a.editor, `{"status":"archived"}`)
	a.must(403, post, path, a.viewer, `{"status":"archived"}`)
	a.must(404, post, path, a.stranger, `{"status":"archived"}`)
	a.must(404, post, "/api/v1/models/model_absent/registry", a.admin, `{"status":"archived"}`)
	a.must(404, get, "/api/v1/models/model_absent/registry", a.viewer, "")
	a.must(401, get, path, "", "")
	a.must(415, post, path, a.admin, `status=archived`, "Content-Type: application/x-www-form-urlencoded")
	if r := a.testServer.do(get, "/api/v1/models//registry", a.viewer, ""); r.status != 400 {
		t.Errorf("without an id: got %d, want 400", r.status)
	}

	// The guard.
	path = "/api/v1/models/" + old + "/registry"
	r = wantReason(catalogue.ReasonRollbackGuard, `{"status":"champion","metricsSnapshot":{"auc":0.5925,"psi.age":0.3,"errorRate":0.02}}`)
	if want := `,"rollbackGuardBreaches":[{"signal":"auc","value":0.25,"threshold":0.05},{"signal":"psi.age","value":0.3,"threshold":0.25}]}`; !strings.HasSuffix(strings.TrimSpace(string(r.body)), want) {
		t.Errorf("got %s, want it to end with %s", r.body, want)
	}
	a.must(200, get, path, a.viewer, "").into(t, &entry)
	if entry.Registry.Status != "challenger" {
		t.Errorf("after a refusal the model is %s, want challenger", entry.Registry.Status)
	}
	wantReason(catalogue.ReasonRollbackGuard, `{"status":"champion","metricsSnapshot":{"auc":0.78},"rollbackThresholds":{"maxAucDrop":0.01}}`)
	r = a.must(200, post, path, a.admin, `{"status":"champion","metricsSnapshot":{"auc":0.5925},"bypassRollbackGuard":true}`)
	var standing struct {
		DemotedChampionID     string
		RollbackGuardBreaches []catalogue.Breach
	}
	r.into(t, &standing)
	if standing.DemotedChampionID != id || len(standing.RollbackGuardBreaches) != 1 {
		t.Errorf("with the guard bypassed: got %s", r.body)
	}
}

func TestFamilies(t *testing.T) {
	a := startAPI(t)
	ids := []string{a.inFamily("one", "cards"), a.inFamily("three", "cards"), a.inFamily("eleven", "Prêts & Cie")}
	a.must(404, post, "/api/v1/families/cards/score", a.viewer, "{}")
	a.stand(ids[0], "champion")
	a.stand(ids[1], "champion")

	var f struct {
		Family   string
		Champion *struct {
			ModelID, Key, PromotedBy string
			Version                  int
		}
		Members []struct{ ModelID, RegistryStatus string }
		History []struct{ Change, ModelID, PreviousStatus, NewStatus, Actor string }
	}
	a.must(200, get, "/api/v1/families/cards?consistency=strong", a.viewer, "").into(t, &f)
	if f.Champion == nil || f.Champion.ModelID != ids[1] || f.Champion.Key != "three" || len(f.Members) != 2 || f.Members[0].ModelID != ids[1] || f.Members[1].RegistryStatus != "challenger" {
		t.Errorf("the family: got %+v", f)
	}
	var changes []string
	for _, e := range f.History {
		changes = append(changes, fmt.Sprint(e.Change, " ", e.ModelID == ids[1], " ", e.PreviousStatus, ">", e.NewStatus))
	}
	if got, want := strings.Join(changes, ", "), "transition true challenger>champion, displaced false champion>challenger, transition false challenger>champion, transition true draft>challenger, transition false draft>challenger"; got != want {
		t.Errorf("the history: got %s, want %s", got, want)
	}
	a.must(404, get, "/api/v1/families/absent", a.viewer, "")

	// By the family as by the model, and the champion is named.
	model := a.must(200, post, "/api/v1/algorithm-models/"+ids[1]+"/score", a.viewer, "{}")
	family := a.must(200, post, "/api/v1/families/cards/score", a.viewer, "{}")
	if got, want := string(family.body), fmt.Sprintf(`{"modelId":%q,`, ids[1])+string(model.body)[1:]; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if r := a.must(200, post, "/api/v1/families/cards/score?explain=false", a.viewer, "{}"); strings.Contains(string(r.body), "explanations") {
		t.Errorf("explain=false: got %s", r.body)
	}
	const set = `{"customerId":"c1","offers":[{"id":"o1"},{"id":"o2"}]}`
	model = a.must(200, post, "/api/v1/algorithm-models/"+ids[1]+"/score-offer-set", a.viewer, set)
	family = a.must(200, post, "/api/v1/families/cards/score-offer-set", a.viewer, set)
	if string(family.body) != string(model.body) {
		t.Errorf("got %s, want %s", family.body, model.body)
	}
	a.must(400, post, "/api/v1/families/cards/score-offer-set", a.viewer, "{}")
	a.must(404, post, "/api/v1/families/absent/score-offer-set", a.viewer, set)

	// A name with letters beyond ASCII.
	a.stand(ids[2], "champion")
	a.must(200, get, "/api/v1/families/Pr%C3%AAts%20&%20Cie", a.viewer, "")
	a.must(200, post, "/api/v1/families/Pr%C3%AAts%20&%20Cie/score", a.viewer, "{}")

	var page struct {
		Data       []struct{ Family string }
		Pagination pagination
	}
	a.must(200, get, "/api/v1/families?limit=1", a.viewer, "").into(t, &page)
	if len(page.Data) != 1 || page.Data[0].Family != "Prêts & Cie" || page.Pagination.Total != 2 || !page.Pagination.HasMore {
		t.Errorf("the first page: got %+v", page)
	}
	a.must(200, get, "/api/v1/families?limit=1&cursor="+*page.Pagination.Cursor, a.viewer, "").into(t, &page)
	if page.Data[0].Family != "cards" || page.Pagination.HasMore {
		t.Errorf("the second page: got %+v", page)
	}
	a.must(400, get, "/api/v1/families?limit=0", a.viewer, "")

	a.must(200, put, "/api/v1/algorithm-models/"+ids[1], a.editor, `{"status":"paused"}`)
	a.must(409, post, "/api/v1/families/cards/score", a.viewer, "{}")
	a.must(409, put, "/api/v1/algorithm-models/"+ids[2], a.editor, `{"family":"cards"}`)
	a.must(204, remove, "/api/v1/algorithm-models/"+ids[1], a.editor, "")
	a.must(404, post, "/api/v1/families/cards/score", a.viewer, "{}")
}

// 60 requests in 60 s, whatever came of them; the next is told when to come back.
func TestRegistryLimit(t *testing.T) {
	a := startAPI(t)
	id := a.create(fmt.Sprintf(scorecardBody, "m"))
	path := "/api/v1/models/" + id + "/registry"
	for i := range 60 {
		body := []string{`{"status":"archived"}`, `{"status":"draft"}`, `{"status":"champion"}`, `{"status":"boss"}`, `{`}[i%5]
		r := a.do(post, path, a.admin, body)
		if want := []int{200, 200, 400, 400, 400}[i%5]; r.status != want || !strings.HasPrefix(r.header.Get("RateLimit"), fmt.Sprintf(`"registry";r=%d;t=`, 59-i)) {
			t.Fatalf("request %d: got %d, RateLimit %s, want %d and %d remaining", i, r.status, r.header.Get("RateLimit"), want, 59-i)
		}
		a.must(403, post, path, a.editor, body) // is not counted
	}
	for _, body := range []string{`{"status":"archived"}`, `{"status":"boss"}`} {
		r := a.must(429, post, path, a.admin, body)
		wait, err := strconv.Atoi(r.header.Get("Retry-After"))
		if err != nil || wait < 1 || wait > 60 || r.header.Get("RateLimit") != fmt.Sprintf(`"registry";r=0;t=%d`, wait) || r.header.Get("RateLimit-Policy") == "" || r.failure(t).Code != "RATE_LIMITED" {
			t.Errorf("got %v, %s", r.header, r.body)
		}
	}
	// Reading is not limited, nor is another tenant.
	a.must(200, get, path, a.viewer, "")
	a.must(404, post, path, a.stranger, `{"status":"archived"}`)
}

// Many clients promote the models of one family at once. Whatever they are told
// is one order of promotions, in which each displaces the one before it, and its
// last is the champion; no reader meets two.
func TestConcurrentPromotions(t *testing.T) {
	a := startAPI(t)
	const models, rounds = 10, 3
	ids := make([]string, models)
	for i := range ids {
		ids[i] = a.inFamily(fmt.Sprint("m", i), "f")
	}
	champion := ""
	for range rounds {
		var promoting, reading sync.WaitGroup
		over := make(chan struct{})
		reading.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					a.wantOneChampion("f", "")
				}
			}
		})
		answers := make([]*reply, models)
		for i := range ids {
			promoting.Go(func() {
				answers[i] = a.testServer.do(post, "/api/v1/models/"+ids[i]+"/registry", a.admin, `{"status":"champion"}`)
			})
		}
		promoting.Wait()
		close(over)
		reading.Wait()
		champion = follow(t, champion, ids, answers)
		a.wantOneChampion("f", champion)
	}
}

// follow puts the answers of a round into their order and returns its champion.
// The champion before is refused while it still is; once displaced it may come
// back.
func follow(t *testing.T, champion string, ids []string, answers []*reply) string {
	t.Helper()
	after := map[string][]string{} // whom they displaced → who did
	promoted := 0
	for i, r := range answers {
		var s struct{ ModelID, DemotedChampionID string }
		switch {
		case r.status == http.StatusOK:
			if err := json.Unmarshal(r.body, &s); err != nil || s.ModelID != ids[i] {
				t.Fatalf("got %s for %s", r.body, ids[i])
			}
			after[s.DemotedChampionID] = append(after[s.DemotedChampionID], ids[i])
			promoted++
		case r.status != http.StatusBadRequest || ids[i] != champion || r.failure(t).Reason != catalogue.ReasonInvalidTransition:
			t.Errorf("%s: got %d %s", ids[i], r.status, r.body)
		}
	}
	last, ok := inOneOrder(champion, after, promoted)
	if !ok {
		t.Fatalf("the promotions after champion %q have no order: %v", champion, after)
	}
	return last
}

// inOneOrder looks for an order of all promotions in which each displaces the one
// before it, and returns the last.
func inOneOrder(champion string, after map[string][]string, left int) (last string, ok bool) {
	if left == 0 {
		return champion, true
	}
	next := after[champion]
	for i, id := range next {
		after[champion] = slices.Concat(next[:i], next[i+1:])
		if last, ok = inOneOrder(id, after, left-1); ok {
			return last, true
		}
	}
	after[champion] = next
	return "", false
}

// wantOneChampion reads a family: its members have one champion at most, the one
// that it names, and that is want unless this is empty.
func (a *api) wantOneChampion(family, want string) {
	a.t.Helper()
	var f struct {
		Champion *struct{ ModelID string }
		Members  []struct{ ModelID, RegistryStatus string }
	}
	r := a.testServer.do(get, "/api/v1/families/"+family, a.viewer, "")
	if err := json.Unmarshal(r.body, &f); err != nil || r.status != http.StatusOK {
		a.t.Errorf("got %d %s", r.status, r.body)
		return
	}
	var champions []string
	for _, m := range f.Members {
		if m.RegistryStatus == "champion" {
			champions = append(champions, m.ModelID)
		}
	}
	named := []string{}
	if f.Champion != nil {
		named = append(named, f.Champion.ModelID)
	}
	if len(champions) > 1 || fmt.Sprint(champions) != fmt.Sprint(named) || (want != "" && fmt.Sprint(champions) != "["+want+"]") {
		a.t.Errorf("the champions are %v, the family names %v, want %q", champions, named, want)
	}
}
