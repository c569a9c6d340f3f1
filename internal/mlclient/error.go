package mlclient

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/praetor-engine/praetor/internal/decision"
)

// maxWords bounds what is passed on of a worker's own message.
const maxWords = 300

func notConfigured(op string) error {
	return &decision.Error{
		Kind: decision.KindUnavailable, Op: op,
		Msg: "ML_WORKER_URL is not set; training gradient_boosted needs the ML worker",
	}
}

// unavailable makes the error of a worker that failed; what follows "the ML
// worker at ML_WORKER_URL".
func unavailable(op, what string, err error) error {
	return &decision.Error{Kind: decision.KindUnavailable, Op: op, Msg: "the ML worker at ML_WORKER_URL " + what, Err: err}
}

// refused makes the error of a training that the worker would refuse again:
// what it was asked for is not what it takes.
func refused(op, what string) error {
	return &decision.Error{Kind: decision.KindUnprocessable, Op: op, Msg: "the ML worker refused the training: " + what}
}

// workerError is the shape of the worker's errors, as a whole answer and as the
// last line of one.
type workerError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// refusal turns an answer other than 200 into an error.
func (c *Client) refusal(resp *http.Response) error {
	var answer struct {
		Error workerError `json:"error"`
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusalAnswer))
	if err == nil {
		err = json.Unmarshal(body, &answer)
	}
	if err != nil || answer.Error.Code == "" {
		return unavailable(opTrain, fmt.Sprintf("answered with status %d and no reason", resp.StatusCode), err)
	}
	words := c.redact(answer.Error.Message)
	switch resp.StatusCode {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		return refused(opTrain, words)
	case http.StatusUnauthorized:
		return unavailable(opTrain, "does not take the token; ML_WORKER_TOKEN must be the same on both sides", nil)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return unavailable(opTrain, "is busy: "+words, nil)
	default:
		return unavailable(opTrain, fmt.Sprintf("answered with status %d: %s", resp.StatusCode, words), nil)
	}
}

// failure turns a last line with an error into one of ours.
func (c *Client) failure(e workerError) error {
	if e.Code == "TRAINING_FAILED" { // LightGBM does not take these rows or parameters
		return refused(opTrain, c.redact(e.Message))
	}
	return unavailable(opTrain, fmt.Sprintf("failed (%s): %s", clean(e.Code), c.redact(e.Message)), nil)
}

// redact cleans a worker's words and takes the token out, should it echo it.
func (c *Client) redact(words string) string {
	if c.cfg.Token != "" {
		words = strings.ReplaceAll(words, c.cfg.Token, "***")
	}
	return clean(words)
}

// clean makes one bounded, printable line of a worker's words.
func clean(words string) string {
	words = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, words)
	if len(words) > maxWords {
		words = strings.ToValidUTF8(words[:maxWords], "") + "…"
	}
	return words
}

// withoutURL takes off the wrapping of net/http, whose text is the URL.
func withoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
