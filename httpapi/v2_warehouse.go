package httpapi

import (
	"encoding/json"

	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/engine"
)

// warehouseRoutes is the table of /api/v2 about where observations come from.
func (s *Server) warehouseRoutes() []*route {
	const connections, connection = prefixV2 + "/warehouse/connections", prefixV2 + "/warehouse/connections/{id}"
	const metrics, metric = prefixV2 + "/warehouse/metrics", prefixV2 + "/warehouse/metrics/{id}"
	return []*route{
		{method: get, path: connections, access: admin, class: ClassAdmin, strong: true, handle: s.listConnections},
		{method: post, path: connections, access: admin, class: ClassAdmin, write: true, handle: s.createConnection},
		{method: get, path: connection, access: admin, class: ClassAdmin, strong: true, handle: s.getConnection},
		{method: remove, path: connection, access: admin, class: ClassAdmin, write: true, handle: s.deleteConnection},
		{method: post, path: connection + "/test", access: admin, class: ClassAdmin, handle: s.testConnection},
		{method: get, path: metrics, access: editor, class: ClassRead, strong: true, handle: s.listWarehouseMetrics},
		{method: post, path: metrics, access: editor, class: ClassWrite, write: true, handle: s.createWarehouseMetric},
		{method: get, path: metric, access: editor, class: ClassRead, strong: true, handle: s.getWarehouseMetric},
		{method: remove, path: metric, access: editor, class: ClassWrite, write: true, handle: s.deleteWarehouseMetric},
	}
}

// connectionAnswer is a connection as clients see it: without what is secret.
type connectionAnswer struct {
	ID             string          `json:"id"`
	Provider       string          `json:"provider"`
	Config         json.RawMessage `json:"config"`
	HasCredentials bool            `json:"has_credentials"`
	CreatedAt      timeV2          `json:"created_at"`
}

func answerOfConnection(c catalogue.Connection) connectionAnswer {
	return connectionAnswer{c.ID, c.Provider, c.Config, c.HasCredentials, timeV2(c.CreatedAt)}
}

func (s *Server) listConnections(rq *request) error {
	answer := struct {
		Connections []connectionAnswer `json:"connections"`
	}{[]connectionAnswer{}}
	for _, c := range s.engine.Connections(rq.tenant()) {
		answer.Connections = append(answer.Connections, answerOfConnection(c))
	}
	return rq.replyV2(fasthttp.StatusOK, answer)
}

func (s *Server) getConnection(rq *request) error {
	c, err := s.engine.Connection(rq.tenant(), rq.param(0))
	if err != nil {
		return err
	}
	return rq.replyV2(fasthttp.StatusOK, answerOfConnection(c))
}

func (s *Server) createConnection(rq *request) error {
	provider, config, err := rq.connection()
	if err != nil {
		return err
	}
	c, receipt, err := s.engine.CreateConnection(rq.ctx, rq.write(), provider, config)
	if err != nil {
		return err
	}
	rq.wrote(receipt)
	return rq.replyV2(fasthttp.StatusCreated, answerOfConnection(c))
}

// connection reads the body of POST on connections.
func (rq *request) connection() (provider string, config json.RawMessage, err error) {
	if err := rq.beginBody(); err != nil {
		return "", nil, err
	}
	if rq.enterObject() {
		for rq.nextField() {
			switch rq.key {
			case "provider":
				provider = rq.oneOf(engine.ProviderEmbedded, engine.ProviderPostgres, engine.ProviderFiles)
			case "config":
				config = rq.rawObject(maxObjectKeys)
			default:
				rq.unknown()
			}
		}
		rq.need("provider")
		if config == nil {
			config = json.RawMessage(emptyObject)
		}
	}
	return provider, config, rq.decoder.err()
}

// deletedAnswer says what is gone.
type deletedAnswer struct {
	ID     string `json:"id"`
	Status string `json:"status"`
}

func (s *Server) deleteConnection(rq *request) error {
	receipt, err := s.engine.DeleteConnection(rq.ctx, rq.write(), rq.param(0))
	if err != nil {
		return err
	}
	rq.wrote(receipt)
	return rq.replyV2(fasthttp.StatusOK, deletedAnswer{rq.params[0], "deleted"})
}

// testProblem is why a connection cannot be read.
type testProblem struct {
	Code    string `json:"code"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// testConnection answers 200 also where the connection does not work: the test did.
func (s *Server) testConnection(rq *request) error {
	tested, err := s.engine.TestConnection(rq.ctx, rq.tenant(), rq.param(0))
	if err != nil {
		return err
	}
	answer := struct {
		ConnectionID string       `json:"connection_id"`
		OK           bool         `json:"ok"`
		Error        *testProblem `json:"error"`
		DurationMS   int64        `json:"duration_ms"`
	}{rq.params[0], tested.Problem == nil, nil, tested.Duration.Milliseconds()}
	if tested.Problem != nil {
		e := asError(tested.Problem)
		answer.Error = &testProblem{codeV2(e.Kind), e.Reason, messageV2(e)}
	}
	return rq.replyV2(fasthttp.StatusOK, answer)
}

// warehouseMetricAnswer is a metric as clients see it.
type warehouseMetricAnswer struct {
	ID             string          `json:"id"`
	Name           string          `json:"name"`
	Kind           string          `json:"kind"`
	OptimizationID *string         `json:"optimization_id"`
	SQL            string          `json:"sql"`
	ColumnMapping  json.RawMessage `json:"column_mapping"`
	CreatedAt      timeV2          `json:"created_at"`
}

func answerOfWarehouseMetric(m catalogue.WarehouseMetric) warehouseMetricAnswer {
	a := warehouseMetricAnswer{m.ID, m.Name, m.Kind, nil, m.SQL, m.ColumnMapping, timeV2(m.CreatedAt)}
	if m.OptimizationID != "" {
		a.OptimizationID = &m.OptimizationID
	}
	return a
}

func (s *Server) listWarehouseMetrics(rq *request) error {
	answer := struct {
		Metrics []warehouseMetricAnswer `json:"metrics"`
	}{[]warehouseMetricAnswer{}}
	for _, m := range s.engine.WarehouseMetrics(rq.tenant()) {
		answer.Metrics = append(answer.Metrics, answerOfWarehouseMetric(m))
	}
	return rq.replyV2(fasthttp.StatusOK, answer)
}

func (s *Server) getWarehouseMetric(rq *request) error {
	m, err := s.engine.WarehouseMetric(rq.tenant(), rq.param(0))
	if err != nil {
		return err
	}
	return rq.replyV2(fasthttp.StatusOK, answerOfWarehouseMetric(m))
}

func (s *Server) createWarehouseMetric(rq *request) error {
	m, err := rq.warehouseMetric()
	if err != nil {
		return err
	}
	m, receipt, err := s.engine.CreateWarehouseMetric(rq.ctx, rq.write(), m)
	if err != nil {
		return err
	}
	rq.wrote(receipt)
	return rq.replyV2(fasthttp.StatusCreated, answerOfWarehouseMetric(m))
}

// maxSQL bounds a query, in characters.
const maxSQL = 32 << 10

// warehouseMetric reads the body of POST on metrics.
func (rq *request) warehouseMetric() (m catalogue.WarehouseMetric, err error) {
	if err := rq.beginBody(); err != nil {
		return m, err
	}
	if rq.enterObject() {
		for rq.nextField() {
			switch rq.key {
			case "name":
				m.Name = *rq.ownText(1, maxName)
			case "kind":
				m.Kind = rq.oneOf("exposures", "reward")
			case "optimization_id":
				if !rq.null() {
					m.OptimizationID = *rq.ownText(1, maxName)
				}
			case "sql":
				m.SQL = *rq.ownText(1, maxSQL)
			case "column_mapping":
				m.ColumnMapping = rq.rawObject(maxObjectKeys)
			default:
				rq.unknown()
			}
		}
		rq.need("name", "sql", "column_mapping")
	}
	return m, rq.decoder.err()
}

func (s *Server) deleteWarehouseMetric(rq *request) error {
	receipt, err := s.engine.DeleteWarehouseMetric(rq.ctx, rq.write(), rq.param(0))
	if err != nil {
		return err
	}
	rq.wrote(receipt)
	return rq.replyV2(fasthttp.StatusOK, deletedAnswer{rq.params[0], "deleted"})
}
