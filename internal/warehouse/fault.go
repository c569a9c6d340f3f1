package warehouse

import (
	"errors"
	"fmt"

	"github.com/praetor-engine/praetor/internal/decision"
)

// The reasons why a source gives no observations, in decision.Error.Reason.
const (
	ReasonData        = "warehouse_data"        // a row or a column is not as defined
	ReasonQuery       = "warehouse_query"       // the database refused a query
	ReasonLimit       = "warehouse_limit"       // more than may be read
	ReasonUnreachable = "warehouse_unreachable" // it cannot be reached
	ReasonRefused     = "warehouse_refused"     // it does not let us in
	ReasonTimeout     = "warehouse_timeout"     // it took too long
	ReasonSetup       = "warehouse_setup"       // something is not there that reading needs
)

// Fault makes the error of a source with a message that may be shown to a client.
// What passes by itself is unavailable, what somebody must mend a conflict.
func Fault(reason string, cause error, format string, args ...any) error {
	kind := decision.KindConflict
	if reason == ReasonUnreachable || reason == ReasonTimeout {
		kind = decision.KindUnavailable
	}
	return &decision.Error{Kind: kind, Op: "warehouse", Reason: reason, Msg: fmt.Sprintf(format, args...), Err: cause}
}

// columnError is what is wrong with a row.
type columnError struct{ column, problem string }

func (e *columnError) Error() string { return fmt.Sprintf("column %q: %s", e.column, e.problem) }

func wrong(column, format string, args ...any) error {
	return &columnError{column, fmt.Sprintf(format, args...)}
}

// At tells where an error of a row came from, such as "exposures.csv, line 7".
func At(place string, err error) error {
	var c *columnError
	if errors.As(err, &c) {
		return Fault(ReasonData, nil, "%s, column %.80q: %s", place, c.column, c.problem)
	}
	return err
}

// clip shortens a value for a message.
func clip(b []byte) string {
	if len(b) > 60 {
		return fmt.Sprintf("%q…", b[:60])
	}
	return fmt.Sprintf("%q", b)
}
