package httpapi

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/jsontext"
)

// The second version of the API has its own envelope: an answer's members stand
// beside meta, an error is {"error":{"code","message"},"meta":{"request_id"}}.

const prefixV2 = "/api/v2"

// isV2 reports whether a path, or a route's, is of the second version.
func isV2(path string) bool {
	rest, ok := strings.CutPrefix(path, prefixV2)
	return ok && (rest == "" || rest[0] == '/')
}

// codeV2 is how a kind of error is called in the second version, which knows eight.
func codeV2(k decision.Kind) string {
	switch k {
	case decision.KindUnauthorized:
		return "unauthorized"
	case decision.KindForbidden:
		return "forbidden"
	case decision.KindNotFound:
		return "not_found"
	case decision.KindConflict:
		return "conflict"
	case decision.KindRateLimited:
		return "rate_limited"
	case decision.KindUnavailable, decision.KindIndeterminate:
		return "unavailable"
	case decision.KindBadRequest, decision.KindTooLarge, decision.KindUnsupportedMedia, decision.KindUnprocessable,
		decision.KindRequestTimeout, decision.KindMethodNotAllowed, decision.KindHeaderTooLarge:
		return "bad_request"
	}
	return "internal"
}

// messageV2 is an error's message with every field at fault, for which the second
// version has no place of its own.
func messageV2(e *decision.Error) string {
	if e.Msg == "" {
		return defaultMessage(e.Kind)
	}
	if len(e.Details) < 2 {
		return e.Msg
	}
	var b strings.Builder
	b.WriteString(e.Msg)
	for i, d := range e.Details {
		b.WriteString([]string{"; ", ": "}[bit(i == 0)])
		b.WriteString(d.Path)
		b.WriteByte(' ')
		b.WriteString(d.Message)
	}
	return b.String()
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// appendErrorV2 appends the error envelope of the second version.
func appendErrorV2(dst []byte, e *decision.Error, requestID string) []byte {
	dst = append(append(append(dst, `{"error":{"code":"`...), codeV2(e.Kind)...), '"')
	dst = jsontext.AppendText(dst, "message", messageV2(e))
	dst = jsontext.AppendString(append(dst, `},"meta":{"request_id":`...), requestID)
	return append(dst, '}', '}', '\n')
}

// appendMeta appends meta, after a comma, and ends the answer.
func (rq *request) appendMeta(dst []byte) []byte {
	dst = jsontext.AppendString(append(dst, `,"meta":{"request_id":`...), rq.id)
	dst = jsontext.AppendText(dst, "organization_id", rq.tenant())
	return append(dst, '}', '}', '\n')
}

// replyV2 answers with the members of v, which is an object with at least one,
// beside meta.
func (rq *request) replyV2(status int, v any) error {
	if err := rq.reply(status, v); err != nil {
		return err
	}
	end := len(rq.out) - len("}\n")
	rq.out = rq.appendMeta(rq.out[:end])
	return nil
}

// timeV2 is a time as the second version writes it: RFC 3339 in UTC, in seconds.
type timeV2 decision.Time

// MarshalJSON writes the time, or null.
func (t timeV2) MarshalJSON() ([]byte, error) {
	if t == 0 {
		return []byte("null"), nil
	}
	return json.Marshal(time.UnixMilli(int64(t)).UTC().Format(time.RFC3339))
}

// The classes and roles of the routes of optimizations.
const (
	// maxServeBody bounds the body of a serve, which anyone may send where an
	// optimization is open to that.
	maxServeBody = 64 << 10
	// maxIngestBody is the documented bound of an ingest.
	maxIngestBody = 5 << 20
	patch         = fasthttp.MethodPatch
)

// optimizationRoutes is the table of /api/v2 about optimizations and their models.
func (s *Server) optimizationRoutes() []*route {
	const all, one = prefixV2 + "/optimizations", prefixV2 + "/optimizations/{id}"
	const models, model = prefixV2 + "/models", prefixV2 + "/models/{id}"
	return []*route{
		{method: get, path: all, access: viewer, class: ClassRead, strong: true, handle: s.listOptimizations},
		{method: post, path: all, access: editor, class: ClassWrite, write: true, handle: s.createOptimization},
		{method: get, path: one, access: viewer, class: ClassRead, strong: true, handle: s.getOptimization},
		{method: patch, path: one, access: editor, class: ClassWrite, write: true, handle: s.updateOptimization},
		{method: post, path: one + "/models", access: editor, class: ClassWrite, write: true, handle: s.createOptimizationModel},
		{method: get, path: one + "/results", access: viewer, class: ClassRead, strong: true, handle: s.optimizationResults},
		{method: post, path: one + "/serve", access: viewer, open: true, class: ClassServe, hot: true, maxBody: maxServeBody, handle: s.serveVariant},
		{method: post, path: all + "/best-variant", access: viewer, open: true, class: ClassServe, hot: true, maxBody: maxServeBody, handle: s.bestVariant},

		{method: post, path: prefixV2 + "/ingest/exposures", access: editor, class: ClassRespond, write: true, hot: true, maxBody: maxIngestBody, handle: s.ingestExposures},
		{method: post, path: prefixV2 + "/ingest/rewards", access: editor, class: ClassRespond, write: true, hot: true, maxBody: maxIngestBody, handle: s.ingestRewards},

		{method: get, path: models, access: viewer, class: ClassRead, strong: true, handle: s.listOptimizationModels},
		{method: get, path: model, access: viewer, class: ClassRead, strong: true, handle: s.getOptimizationModel},
		{method: get, path: model + "/state", access: viewer, class: ClassRead, strong: true, handle: s.optimizationModelState},
		{method: post, path: model + "/train", access: editor, class: ClassTrain, write: true, handle: s.trainOptimizationModel},
		{method: remove, path: model, access: admin, class: ClassWrite, write: true, handle: s.deleteOptimizationModel},
	}
}
