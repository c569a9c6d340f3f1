package cluster

import (
	"fmt"
	"io"
	"log"

	"github.com/hashicorp/go-hclog"
	"github.com/rs/zerolog"
)

// bridge writes what Raft logs through zerolog. Raft reports every election and
// connection at info; here that is debug, so that info stays worth reading.
type bridge struct {
	log  zerolog.Logger
	name string
	args []any
}

func newBridge(l zerolog.Logger) hclog.Logger {
	return &bridge{log: l.With().Str("from", "raft").Logger()}
}

var bridgeLevels = map[hclog.Level]zerolog.Level{
	hclog.Trace: zerolog.TraceLevel, hclog.Debug: zerolog.TraceLevel, hclog.Info: zerolog.DebugLevel,
	hclog.Warn: zerolog.WarnLevel, hclog.Error: zerolog.ErrorLevel,
}

func (b *bridge) Log(level hclog.Level, msg string, args ...any) {
	to, ok := bridgeLevels[level]
	if !ok || to < b.log.GetLevel() {
		return
	}
	e := b.log.WithLevel(to)
	if b.name != "" {
		e = e.Str("part", b.name)
	}
	e = fields(fields(e, b.args), args)
	e.Msg(msg)
}

// fields adds alternating keys and values.
func fields(e *zerolog.Event, args []any) *zerolog.Event {
	for i := 0; i < len(args); i += 2 {
		key := fmt.Sprint(args[i])
		if i+1 == len(args) {
			return e.Str("extra", key)
		}
		switch v := args[i+1].(type) {
		case hclog.Format:
			e = e.Str(key, format(v))
		case error:
			e = e.AnErr(key, v)
		case fmt.Stringer:
			e = e.Str(key, v.String())
		default:
			e = e.Interface(key, v)
		}
	}
	return e
}

func format(f hclog.Format) string {
	if len(f) == 0 {
		return ""
	}
	return fmt.Sprintf(fmt.Sprint(f[0]), f[1:]...)
}

func (b *bridge) Trace(msg string, args ...any) { b.Log(hclog.Trace, msg, args...) }
func (b *bridge) Debug(msg string, args ...any) { b.Log(hclog.Debug, msg, args...) }
func (b *bridge) Info(msg string, args ...any)  { b.Log(hclog.Info, msg, args...) }
func (b *bridge) Warn(msg string, args ...any)  { b.Log(hclog.Warn, msg, args...) }
func (b *bridge) Error(msg string, args ...any) { b.Log(hclog.Error, msg, args...) }

func (b *bridge) enabled(l hclog.Level) bool { return bridgeLevels[l] >= b.log.GetLevel() }
func (b *bridge) IsTrace() bool              { return b.enabled(hclog.Trace) }
func (b *bridge) IsDebug() bool              { return b.enabled(hclog.Debug) }
func (b *bridge) IsInfo() bool               { return b.enabled(hclog.Info) }
func (b *bridge) IsWarn() bool               { return b.enabled(hclog.Warn) }
func (b *bridge) IsError() bool              { return b.enabled(hclog.Error) }

func (b *bridge) ImpliedArgs() []any { return b.args }
func (b *bridge) Name() string       { return b.name }

func (b *bridge) With(args ...any) hclog.Logger {
	c := *b
	c.args = append(append([]any(nil), b.args...), args...)
	return &c
}

func (b *bridge) Named(name string) hclog.Logger {
	if b.name != "" {
		name = b.name + "." + name
	}
	return b.ResetNamed(name)
}

func (b *bridge) ResetNamed(name string) hclog.Logger {
	c := *b
	c.name = name
	return &c
}

// SetLevel does nothing: zerolog's level counts.
func (b *bridge) SetLevel(hclog.Level) {}

func (b *bridge) GetLevel() hclog.Level {
	for _, l := range []hclog.Level{hclog.Trace, hclog.Info, hclog.Warn, hclog.Error} {
		if b.enabled(l) {
			return l
		}
	}
	return hclog.Off
}

func (b *bridge) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return log.New(b.log, "", 0)
}

func (b *bridge) StandardWriter(*hclog.StandardLoggerOptions) io.Writer { return b.log }
