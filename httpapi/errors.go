package httpapi

import (
	"errors"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/jsontext"
)

// answer is how a kind of error looks to a client.
type answer struct {
	status int
	code   string
}

// answers maps kinds to statuses; nothing else in the engine knows statuses.
var answers = [...]answer{
	decision.KindInternal:         {fasthttp.StatusInternalServerError, "INTERNAL"},
	decision.KindBadRequest:       {fasthttp.StatusBadRequest, "BAD_REQUEST"},
	decision.KindUnauthorized:     {fasthttp.StatusUnauthorized, "UNAUTHORIZED"},
	decision.KindForbidden:        {fasthttp.StatusForbidden, "FORBIDDEN"},
	decision.KindNotFound:         {fasthttp.StatusNotFound, "NOT_FOUND"},
	decision.KindConflict:         {fasthttp.StatusConflict, "CONFLICT"},
	decision.KindTooLarge:         {fasthttp.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE"},
	decision.KindUnsupportedMedia: {fasthttp.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE"},
	decision.KindUnprocessable:    {fasthttp.StatusUnprocessableEntity, "UNPROCESSABLE"},
	decision.KindRateLimited:      {fasthttp.StatusTooManyRequests, "RATE_LIMITED"},
	decision.KindUnavailable:      {fasthttp.StatusServiceUnavailable, "UNAVAILABLE"},
	decision.KindIndeterminate:    {fasthttp.StatusGatewayTimeout, "INDETERMINATE"},
	decision.KindRequestTimeout:   {fasthttp.StatusRequestTimeout, "REQUEST_TIMEOUT"},
	decision.KindMethodNotAllowed: {fasthttp.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED"},
	decision.KindHeaderTooLarge:   {fasthttp.StatusRequestHeaderFieldsTooLarge, "HEADER_TOO_LARGE"},
}

// answerOf returns how a kind is answered; a kind from a newer node is internal.
func answerOf(k decision.Kind) answer {
	if int(k) < len(answers) {
		return answers[k]
	}
	return answers[decision.KindInternal]
}

// asError finds the decision.Error in err's chain; any other error is internal
// and tells the client nothing of its cause.
func asError(err error) *decision.Error {
	var e *decision.Error
	if !errors.As(err, &e) {
		e = &decision.Error{Kind: decision.KindInternal, Err: err}
	}
	return e
}

// defaultMessage is what a client reads where an error has no words for it.
func defaultMessage(k decision.Kind) string {
	if k == decision.KindInternal {
		return "an internal error; the log of the node has it under the request id"
	}
	return k.String()
}

// appendErrorFields appends code, message and reason, as every error shape has
// them.
func appendErrorFields(dst []byte, e *decision.Error) []byte {
	dst = append(dst, `"code":"`...)
	dst = append(dst, answerOf(e.Kind).code...)
	dst = append(dst, '"')
	msg := e.Msg
	if msg == "" {
		msg = defaultMessage(e.Kind)
	}
	dst = jsontext.AppendText(dst, "message", msg)
	if e.Reason != "" {
		dst = jsontext.AppendText(dst, "reason", e.Reason)
	}
	return dst
}

// appendError appends the error envelope; extra is put after it as it is, such
// as `,"status":"insufficient_data"`.
func appendError(dst []byte, e *decision.Error, requestID, extra string) []byte {
	dst = appendErrorFields(append(dst, `{"error":{`...), e)
	dst = append(dst, `,"status":`...)
	dst = strconv.AppendInt(dst, int64(answerOf(e.Kind).status), 10)
	dst = jsontext.AppendText(dst, "requestId", requestID)
	if len(e.Details) > 0 {
		dst = append(dst, `,"details":[`...)
		for i, d := range e.Details {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = jsontext.AppendString(append(dst, `{"path":`...), d.Path)
			dst = append(jsontext.AppendText(dst, "message", d.Message), '}')
		}
		dst = append(dst, ']')
	}
	dst = append(dst, '}')
	dst = append(dst, extra...)
	return append(dst, '}', '\n')
}
