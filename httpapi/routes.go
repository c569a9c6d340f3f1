package httpapi

import "github.com/valyala/fasthttp"

// The methods, short, as the table reads better so.
const (
	get    = fasthttp.MethodGet
	post   = fasthttp.MethodPost
	put    = fasthttp.MethodPut
	remove = fasthttp.MethodDelete
)

// apiRoutes is the table of /api/v1.
func (s *Server) apiRoutes() []*route {
	const models, model = "/api/v1/algorithm-models", "/api/v1/algorithm-models/{id}"
	const families, family = "/api/v1/families", "/api/v1/families/{family}"
	const webhooks = "/api/v1/webhooks"
	const experiments, experiment = "/api/v1/experiments", "/api/v1/experiments/{id}"
	table := []*route{
		{method: get, path: models, access: viewer, class: ClassRead, strong: true, handle: s.listModels},
		{method: post, path: models, access: editor, class: ClassWrite, write: true, handle: s.createModel},
		{method: remove, path: models, access: editor, class: ClassWrite, write: true, handle: s.deleteModelByQuery},
		{method: get, path: model, access: viewer, class: ClassRead, strong: true, handle: s.getModel},
		{method: put, path: model, access: editor, class: ClassWrite, write: true, handle: s.updateModel},
		{method: remove, path: model, access: editor, class: ClassWrite, write: true, handle: s.deleteModel},
		{method: post, path: models + "/import", access: admin, class: ClassWrite, write: true, maxBody: maxImport, bodyTime: importTime, handle: s.importModel},
		{method: get, path: model + "/predictors", access: viewer, class: ClassRead, handle: s.modelPredictors},
		{method: get, path: model + "/export", access: editor, class: ClassRead, handle: s.exportModel},
		{method: post, path: model + "/restore", access: editor, class: ClassWrite, write: true, handle: s.restoreVersion},
		{method: post, path: model + "/reset-offer", access: editor, class: ClassWrite, write: true, handle: s.resetOffer},
		{method: get, path: model + "/monitoring", access: viewer, class: ClassRead, handle: s.modelMonitoring},
		{method: get, path: "/api/v1/alerts", access: viewer, class: ClassRead, handle: s.listAlerts},
		{method: get, path: model + "/adaptations", access: viewer, class: ClassRead, handle: s.listAdaptations},
		{method: post, path: model + "/upgrade", access: editor, class: ClassWrite, write: true, handle: s.upgradeModel},
		{method: get, path: model + "/evolution-history", access: viewer, class: ClassRead, strong: true, handle: s.getEvolution},
		{method: post, path: model + "/reset-learning", access: editor, class: ClassWrite, write: true, handle: s.resetLearning},

		{method: get, path: "/api/v1/models/{id}/registry", access: viewer, class: ClassRead, strong: true, handle: s.getRegistry},
		{method: post, path: "/api/v1/models/{id}/registry", access: admin, class: ClassWrite, write: true, handle: s.setRegistry},
		{method: get, path: families, access: viewer, class: ClassRead, strong: true, handle: s.listFamilies},
		{method: get, path: family, access: viewer, class: ClassRead, strong: true, handle: s.getFamily},

		{method: get, path: experiments, access: viewer, class: ClassRead, strong: true, handle: s.listExperiments},
		{method: post, path: experiments, access: editor, class: ClassWrite, write: true, handle: s.createExperiment},
		{method: get, path: experiment, access: viewer, class: ClassRead, strong: true, handle: s.getExperiment},
		{method: put, path: experiment, access: editor, class: ClassWrite, write: true, handle: s.updateExperiment},
		{method: remove, path: experiment, access: editor, class: ClassWrite, write: true, handle: s.deleteExperiment},
		{method: get, path: experiment + "/assignment", access: viewer, class: ClassScore, hot: true, handle: s.assignment},
		{method: get, path: experiment + "/results", access: viewer, class: ClassRead, handle: s.experimentResults},

		{method: post, path: model + "/score", access: viewer, class: ClassScore, hot: true, handle: s.scoreModel},
		{method: post, path: model + "/score-offer-set", access: viewer, class: ClassScore, hot: true, handle: s.scoreOfferSet},
		{method: post, path: family + "/score", access: viewer, class: ClassScore, hot: true, handle: s.scoreFamily},
		{method: post, path: family + "/score-offer-set", access: viewer, class: ClassScore, hot: true, handle: s.rankForFamily},
		{method: post, path: model + "/score-batch", access: viewer, class: ClassScore, ndjson: true, handle: s.scoreBatch},

		{method: post, path: models + "/train", access: editor, class: ClassTrain, write: true, handle: s.bulkTrain},
		{method: post, path: model + "/train", access: editor, class: ClassTrain, write: true, handle: s.trainModel},
		{method: get, path: "/api/v1/jobs", access: viewer, class: ClassRead, handle: s.listJobs},
		{method: get, path: "/api/v1/jobs/{id}", access: viewer, class: ClassRead, handle: s.getJob},
		{method: remove, path: "/api/v1/jobs/{id}", access: editor, class: ClassTrain, write: true, handle: s.cancelJob},

		{method: post, path: "/api/v1/respond", access: viewer, class: ClassRespond, write: true, hot: true, handle: s.respond},
		{method: post, path: "/api/v1/capture", access: viewer, class: ClassRespond, write: true, handle: s.respond},
		{method: post, path: "/api/v1/respond/bulk", access: viewer, class: ClassRespond, write: true, hot: true, handle: s.respondBulk},
		{method: get, path: "/api/v1/interaction-history", access: viewer, class: ClassRead, handle: s.listInteractions},
		{method: get, path: "/api/v1/interaction-summaries", access: viewer, class: ClassRead, handle: s.listSummaries},

		{method: get, path: "/api/v1/events", access: viewer, class: ClassRead, resumes: true, handle: s.events},
		{method: get, path: webhooks, access: admin, class: ClassAdmin, handle: s.listWebhooks},
		{method: post, path: webhooks, access: admin, class: ClassAdmin, write: true, handle: s.createWebhook},
		{method: get, path: webhooks + "/{id}", access: admin, class: ClassAdmin, handle: s.getWebhook},
		{method: put, path: webhooks + "/{id}", access: admin, class: ClassAdmin, write: true, handle: s.updateWebhook},
		{method: remove, path: webhooks + "/{id}", access: admin, class: ClassAdmin, write: true, handle: s.deleteWebhook},
		{method: post, path: webhooks + "/{id}/rotate-secret", access: admin, class: ClassAdmin, write: true, handle: s.rotateSecret},
		{method: post, path: webhooks + "/{id}/test", access: admin, class: ClassAdmin, handle: s.testWebhook},

		{method: get, path: "/api/v1/outcome-types", access: viewer, class: ClassRead, handle: s.listOutcomeTypes},
		{method: post, path: "/api/v1/outcome-types", access: editor, class: ClassWrite, write: true, handle: s.createOutcomeType},
		{method: put, path: "/api/v1/outcome-types/{key}", access: editor, class: ClassWrite, write: true, handle: s.updateOutcomeType},
		{method: remove, path: "/api/v1/outcome-types/{key}", access: editor, class: ClassWrite, write: true, handle: s.deleteOutcomeType},

		{method: get, path: "/api/v1/api-keys", access: admin, class: ClassAdmin, handle: s.listKeys},
		{method: post, path: "/api/v1/api-keys", access: admin, class: ClassAdmin, write: true, handle: s.createKey},
		{method: remove, path: "/api/v1/api-keys/{id}", access: admin, class: ClassAdmin, write: true, handle: s.revokeKey},
		{method: get, path: "/api/v1/tenants", access: operator, class: ClassAdmin, tenantless: true, handle: s.listTenants},
		{method: post, path: "/api/v1/tenants", access: operator, class: ClassAdmin, write: true, tenantless: true, handle: s.createTenant},
		{method: remove, path: "/api/v1/tenants/{id}", access: operator, class: ClassAdmin, write: true, tenantless: true, handle: s.deleteTenant},
		{method: get, path: "/api/v1/audit-logs", access: admin, class: ClassAdmin, tenantless: true, handle: s.listAudit},
		{method: get, path: "/api/v1/audit-logs/verify", access: admin, class: ClassAdmin, tenantless: true, handle: s.verifyAudit},
		{method: get, path: "/api/v1/audit-logs/export", access: admin, class: ClassAdmin, tenantless: true, handle: s.exportAudit},
		{method: get, path: "/api/v1/cluster", access: admin, class: ClassAdmin, tenantless: true, handle: s.clusterStatus},
		{method: post, path: "/api/v1/cluster/join", access: operator, class: ClassAdmin, tenantless: true, handle: s.joinNode},
		{method: post, path: "/api/v1/cluster/remove", access: operator, class: ClassAdmin, tenantless: true, handle: s.removeNode},
		{method: post, path: "/api/v1/cluster/transfer", access: operator, class: ClassAdmin, tenantless: true, handle: s.transferLeadership},
		{method: get, path: "/api/v1/cluster/backup", access: operator, class: ClassAdmin, tenantless: true, handle: s.backup},
		{method: post, path: "/api/v1/cluster/snapshot", access: operator, class: ClassAdmin, tenantless: true, handle: s.takeSnapshot},
		{method: post, path: "/api/v1/cluster/digest", access: operator, class: ClassAdmin, tenantless: true, handle: s.takeDigest},
	}
	table = append(table, s.decisionLogRoutes(model, decisionLogOfModel)...)
	return append(table, s.decisionLogRoutes(family, decisionLogOfFamily)...)
}

// systemRoutes is the table of the routes for probes, scrapers and readers.
func (s *Server) systemRoutes(doc *document) []*route {
	return []*route{
		{method: get, path: "/healthz", access: public, idle: true, handle: s.healthz},
		{method: get, path: "/readyz", access: public, idle: true, handle: s.readyz},
		{method: get, path: "/metrics", access: public, idle: true, handle: s.exposition},
		{method: get, path: "/openapi.json", access: public, idle: true, handle: doc.serveJSON},
		{method: get, path: "/docs", access: public, idle: true, handle: doc.servePage},
	}
}
