package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/praetor-engine/praetor/internal/attribution"
	"github.com/praetor-engine/praetor/internal/endpoint"
	"github.com/praetor-engine/praetor/internal/warehouse"
)

// Options are what the node permits.
type Options struct {
	Dialer  *endpoint.Dialer
	Timeout time.Duration // of one reading
	Limits  warehouse.Limits
}

// Source is a database with metrics. It holds no connection between readings.
type Source struct {
	config   Config
	password string
	metrics  []warehouse.Metric
	options  Options
}

var _ warehouse.Source = (*Source)(nil)

// New returns the source. Nothing is connected yet.
func New(c Config, password string, metrics []warehouse.Metric, o Options) *Source {
	return &Source{config: c, password: password, metrics: metrics, options: o}
}

// Close does nothing: connections are open only while they are read from.
func (s *Source) Close() error { return nil }

const (
	lockTimeout  = 5 * time.Second
	closeTimeout = 2 * time.Second
)

// Observations runs the two metrics of the request and counts what they give.
func (s *Source) Observations(ctx context.Context, r *warehouse.Request) (table *attribution.Table, err error) {
	exposures, rewards := warehouse.Choose(s.metrics, r.Optimization, r.Reward)
	switch {
	case exposures == nil:
		return nil, warehouse.Fault(warehouse.ReasonSetup, nil, "there is no metric of the kind %s for the optimization", warehouse.KindExposures)
	case rewards == nil:
		return nil, warehouse.Fault(warehouse.ReasonSetup, nil, "there is no metric of the kind %s with the name of the reward, %.80q", warehouse.KindReward, r.Reward)
	}
	err = s.transaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		e, err := declare(ctx, s, tx, "exposures", exposures, r, func(columns []string) (warehouse.Rows[attribution.Exposure], error) {
			return warehouse.NewExposures(r, &exposures.Mapping, title(exposures), columns)
		})
		if err != nil {
			return err
		}
		w, err := declare(ctx, s, tx, "rewards", rewards, r, func(columns []string) (warehouse.Rows[attribution.Reward], error) {
			return warehouse.NewRewards(r, &rewards.Mapping, title(rewards), columns)
		})
		if err != nil {
			return err
		}
		table, err = attribution.Batch(r.Rules, r.Now,
			warehouse.Bounded[attribution.Exposure](e, s.options.Limits, title(exposures)),
			warehouse.Bounded[attribution.Reward](w, s.options.Limits, title(rewards)))
		return err
	})
	if err != nil {
		return nil, err
	}
	return table, nil
}

// Test connects, and has the database look at every metric.
func (s *Source) Test(ctx context.Context) error {
	return s.transaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		for i := range s.metrics {
			if err := s.probe(ctx, tx, &s.metrics[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Source) probe(ctx context.Context, tx pgx.Tx, m *warehouse.Metric) error {
	text, args, err := bind(m.SQL, "00000000-0000-0000-0000-000000000000", time.Now().UnixMilli())
	if err != nil {
		return warehouse.Fault(warehouse.ReasonQuery, nil, "%s: %s", title(m), err)
	}
	rows, err := tx.Query(ctx, probe(text), args...)
	if err != nil {
		return fault(ctx, title(m), err)
	}
	columns := names(rows)
	rows.Close()
	if err := rows.Err(); err != nil {
		return fault(ctx, title(m), err)
	}
	return m.Mapping.Find(title(m), columns)
}

// title names a metric for a message.
func title(m *warehouse.Metric) string { return fmt.Sprintf("metric %q", m.Name) }

func names(rows pgx.Rows) []string {
	var all []string
	for _, f := range rows.FieldDescriptions() {
		all = append(all, f.Name)
	}
	return all
}

// transaction calls f in a transaction that changes nothing.
func (s *Source) transaction(ctx context.Context, f func(context.Context, pgx.Tx) error) error {
	if s.config.SSLMode == Disable && !s.options.Dialer.Plain() {
		return warehouse.Fault(warehouse.ReasonSetup, nil, "sslmode is %s, and this server permits no connections without TLS", Disable)
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	config, err := s.config.connection(s.password, s.options.Dialer)
	if err != nil {
		return warehouse.Fault(warehouse.ReasonSetup, err, "the connection's settings cannot be used on this node")
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fault(ctx, "", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		_ = conn.Close(ctx) // nothing was changed that could be lost
	}()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return fault(ctx, "", err)
	}
	millis := func(d time.Duration) string { return fmt.Sprint(max(d.Milliseconds(), 1)) }
	_, err = tx.Exec(ctx, `SELECT set_config('statement_timeout', $1, true), set_config('lock_timeout', $2, true),
		set_config('idle_in_transaction_session_timeout', $1, true), set_config('TimeZone', 'UTC', true),
		set_config('DateStyle', 'ISO, YMD', true), set_config('bytea_output', 'hex', true), set_config('extra_float_digits', '1', true),
		set_config('cursor_tuple_fraction', '1', true)`, millis(s.options.Timeout), millis(min(lockTimeout, s.options.Timeout)))
	if err != nil {
		return fault(ctx, "", err)
	}
	return f(ctx, tx)
}

// fault tells what kind of failure it is. What the database says of a query is
// shown, it is what its author needs; what the network says is not.
func fault(ctx context.Context, title string, err error) error {
	var refused *pgconn.PgError
	var connect *pgconn.ConnectError
	var network net.Error
	var tooLong *pgproto3.ExceededMaxBodyLenErr
	place := "the database"
	if title != "" {
		place = title
	}
	switch {
	case errors.As(err, &refused):
		return answered(place, refused, errors.As(err, &connect))
	case errors.As(err, &tooLong):
		return warehouse.Fault(warehouse.ReasonLimit, err, "%s: there is a row of more than %d bytes", place, warehouse.MaxRow)
	case endpoint.Refused(err):
		return warehouse.Fault(warehouse.ReasonRefused, err, "this server may not connect to the database's address")
	case ctx.Err() != nil, pgconn.Timeout(err), errors.As(err, &network) && network.Timeout():
		return warehouse.Fault(warehouse.ReasonTimeout, err, "%s did not answer in time", place)
	case errors.As(err, &connect):
		return warehouse.Fault(warehouse.ReasonUnreachable, err, "the database cannot be reached with the given host, port and sslmode")
	}
	return warehouse.Fault(warehouse.ReasonUnreachable, err, "the connection to the database broke")
}

// answered is what the database itself says, by its code (PostgreSQL, appendix A).
func answered(place string, e *pgconn.PgError, connecting bool) error {
	reason := warehouse.ReasonQuery
	switch class := e.Code[:min(2, len(e.Code))]; {
	case e.Code == "57014", e.Code == "55P03", e.Code == "25P03": // cancelled, no lock, idle for too long
		return warehouse.Fault(warehouse.ReasonTimeout, e, "%s did not answer in time", place)
	case class == "28":
		return warehouse.Fault(warehouse.ReasonRefused, e, "the database refuses the user or the password")
	case connecting && class == "3D":
		return warehouse.Fault(warehouse.ReasonRefused, e, "the database does not exist")
	case class == "08", class == "53", class == "57", class == "40":
		reason = warehouse.ReasonUnreachable
	}
	return warehouse.Fault(reason, e, "%s: the database says: %.300s (%s)", place, e.Message, e.Code)
}
