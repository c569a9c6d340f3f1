package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/actors"
	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/types"
	"github.com/praetor-engine/praetor/internal/pmml"
)

// Format is a form in which a model leaves or enters the engine.
type Format string

// The formats.
const (
	FormatPraetor      Format = "praetor"       // everything the model has, versions included
	FormatLightGBMText Format = "lightgbm_text" // model.txt
	FormatLightGBMJSON Format = "lightgbm_json" // the result of dump_model
	FormatPMML         Format = "pmml"          // what scores, for other engines; out only
)

// exportVersion is the version of praetor's own format.
const exportVersion = 1

// Export is a model with everything it has, in praetor's own format. The
// configuration has placeholders for its secrets.
type Export struct {
	Format        Format          `json:"format"`
	FormatVersion int             `json:"formatVersion"`
	Model         catalogue.Model `json:"model"`
	// ModelState is what the model has learned up to now; null where its type
	// keeps nothing.
	ModelState json.RawMessage   `json:"modelState"`
	Versions   []ExportedVersion `json:"versions"` // newest first
}

// ExportedVersion is a version with the state that restoring it brings back;
// null where none is kept.
type ExportedVersion struct {
	catalogue.Version
	ModelState json.RawMessage `json:"modelState"`
}

// Document is a model as it leaves the engine.
type Document struct {
	MediaType string
	Body      []byte
}

// The media types of documents.
const (
	mediaJSON = "application/json"
	mediaText = "text/plain; charset=utf-8"
	mediaXML  = "application/xml"
)

// ExportModel returns a model in a format.
func (e *Engine) ExportModel(ctx context.Context, tenant, id string, format Format) (Document, error) {
	mr, err := e.machine.directory.model(tenant, id)
	if err != nil {
		return Document{}, err
	}
	switch format {
	case FormatPraetor:
		x, err := e.export(ctx, mr)
		if err != nil {
			return Document{}, err
		}
		body, err := json.Marshal(x)
		return Document{mediaJSON, body}, err
	case FormatLightGBMText, FormatLightGBMJSON:
		state, err := mr.handle.StateJSON(ctx)
		if err != nil {
			return Document{}, err
		}
		return exportLightGBM(mr.record.Load(), state, format)
	case FormatPMML:
		return exportPMML(mr)
	}
	return Document{}, decision.Invalid("format", "want %s, %s, %s or %s, got %.40q",
		FormatPraetor, FormatLightGBMText, FormatLightGBMJSON, FormatPMML, string(format))
}

// exportPMML returns what scores as PMML.
func exportPMML(mr *modelRuntime) (Document, error) {
	m := &mr.record.Load().Model
	p := mr.handle.Published()
	if p.Fault != nil {
		return Document{}, p.Fault.Err()
	}
	var b bytes.Buffer
	err := pmml.Write(&b, pmml.Meta{ModelKey: m.Key, Name: m.Name, Version: m.Version, Timestamp: m.UpdatedAt.String()}, p.View)
	return Document{mediaXML, b.Bytes()}, err
}

// exportLightGBM returns the trees in the form they were given in.
func exportLightGBM(rec *catalogue.ModelRecord, state json.RawMessage, format Format) (Document, error) {
	if rec.ModelType != decision.GradientBoosted {
		return Document{}, decision.Invalid("format", "%s is for models of type %s, this one is a %s", format, decision.GradientBoosted, rec.ModelType)
	}
	var text struct {
		Model *string `json:"model"`
	}
	if err := json.Unmarshal(state, &text); err != nil {
		return Document{}, err
	}
	untrained := string(state) == "{}"
	switch {
	case untrained:
		return Document{}, decision.Errorf(decision.KindConflict, "the model has no trees yet")
	case text.Model != nil && format == FormatLightGBMText:
		return Document{mediaText, []byte(*text.Model)}, nil
	case text.Model == nil && format == FormatLightGBMJSON:
		return Document{mediaJSON, state}, nil
	case text.Model != nil:
		return Document{}, decision.Invalid("format", "the trees are kept as LightGBM's text, want %s", FormatLightGBMText)
	}
	return Document{}, decision.Invalid("format", "the trees are kept as LightGBM's JSON dump, want %s", FormatLightGBMJSON)
}

// export returns a model with everything it has.
func (e *Engine) export(ctx context.Context, mr *modelRuntime) (out Export, err error) {
	rec := mr.record.Load()
	out = Export{Format: FormatPraetor, FormatVersion: exportVersion, Model: Shown(&rec.Model), Versions: []ExportedVersion{}}
	if out.ModelState, err = mr.handle.StateJSON(ctx); err != nil {
		return Export{}, err
	}
	for _, v := range slices.Backward(rec.Versions) {
		state, err := e.versionState(mr, rec, v.Version)
		if err != nil {
			return Export{}, err
		}
		out.Versions = append(out.Versions, ExportedVersion{v, state})
	}
	return out, nil
}

// versionState reads the state of a version in the API's shape. A version
// without one, or with one that the present configuration cannot go on from,
// has null: it cannot be restored here either.
func (e *Engine) versionState(mr *modelRuntime, rec *catalogue.ModelRecord, version uint64) (json.RawMessage, error) {
	state, err := e.machine.history.State(mr.ordinal, mr.id, version)
	if decision.KindOf(err) == decision.KindNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	spec, err := specOf(&rec.Model)
	if err != nil {
		return nil, err
	}
	t, _ := types.Of(rec.ModelType)
	learner, err := t.Load(spec, string(state))
	if err != nil {
		return nil, nil
	}
	return learner.StateJSON()
}

// Import is a model to be brought in.
type Import struct {
	Format Format
	Model  json.RawMessage // in the format: an object, or of lightgbm_text a string
	// Fields win over what the model brings; of LightGBM's formats they are all
	// there is beside the trees.
	Fields catalogue.ModelFields
}

// ImportModel makes a model of what another engine or library exported.
func (e *Engine) ImportModel(ctx context.Context, w Write, in Import) (*catalogue.Model, Receipt, error) {
	switch in.Format {
	case FormatPraetor:
		return e.importExport(ctx, w, in)
	case FormatLightGBMText, FormatLightGBMJSON:
		return e.importLightGBM(ctx, w, in)
	}
	return nil, Receipt{}, decision.Invalid("format", "want %s, %s or %s, got %.40q",
		FormatPraetor, FormatLightGBMText, FormatLightGBMJSON, string(in.Format))
}

// importLightGBM makes a gradient boosted model of LightGBM's trees.
func (e *Engine) importLightGBM(ctx context.Context, w Write, in Import) (*catalogue.Model, Receipt, error) {
	isText := len(in.Model) > 0 && in.Model[0] == '"'
	if isText != (in.Format == FormatLightGBMText) {
		want := "an object, as dump_model gives it"
		if in.Format == FormatLightGBMText {
			want = "a string with the text of the model's file"
		}
		return nil, Receipt{}, decision.Invalid("model", "want %s", want)
	}
	f := in.Fields
	boosted := decision.GradientBoosted
	f.ModelType, f.ModelState = &boosted, in.Model
	if isText {
		f.ModelState = slices.Concat([]byte(`{"model":`), in.Model, []byte{'}'})
	}
	m, receipt, err := e.CreateModel(ctx, w, f)
	return m, receipt, atPath(err, "modelState", "model")
}

// importExport makes a model of praetor's own export.
func (e *Engine) importExport(ctx context.Context, w Write, in Import) (*catalogue.Model, Receipt, error) {
	if len(in.Model) == 0 || in.Model[0] != '{' {
		return nil, Receipt{}, decision.Invalid("model", "want an object, as an export gives it")
	}
	var x Export
	if err := json.Unmarshal(in.Model, &x); err != nil {
		return nil, Receipt{}, jsonProblem("model", err)
	}
	if x.Format == "" {
		return nil, Receipt{}, decision.Invalid("model", "want the whole document of an export, with its format and formatVersion")
	}
	if x.Format != FormatPraetor || x.FormatVersion != exportVersion {
		return nil, Receipt{}, decision.Invalid("model.formatVersion", "want format %s version %d, got %.40q version %d", FormatPraetor, exportVersion, string(x.Format), x.FormatVersion)
	}
	imported, states, err := x.imported(in.Fields)
	if err != nil {
		return nil, Receipt{}, err
	}
	if err := e.checkEndpoint(modelOf(&imported.Fields)); err != nil {
		return nil, Receipt{}, err
	}
	return do[*catalogue.Model](ctx, e, w.header(command.KindImportModel), command.ImportModel{ID: newID("model"), Model: imported, States: states})
}

// imported reads an export into what a command brings; given fields win.
func (x *Export) imported(given catalogue.ModelFields) (catalogue.ImportedModel, [][]byte, error) {
	m := x.Model.With(&given)
	setIf(&m.Key, given.Key)
	in := catalogue.ImportedModel{
		Fields: m.Fields(), Version: m.Version, TrainingSamples: m.TrainingSamples, LastTrainedAt: m.LastTrainedAt,
	}
	in.Fields.ModelState = x.ModelState
	if err := checkCreate(&in.Fields); err != nil {
		return in, nil, inExport(err, given)
	}
	states := make([][]byte, len(x.Versions))
	for i, v := range slices.Backward(x.Versions) {
		at := len(in.Versions)
		in.Versions = append(in.Versions, v.Version)
		if v.ModelType != m.ModelType || (absent(v.ModelState) && !stateless(m.ModelType)) {
			continue // not kept
		}
		state, err := stateBytes(modelOf(&in.Fields), v.ModelState)
		if err != nil {
			return in, nil, atPath(err, "modelState", indexed("model.versions", i)+".modelState")
		}
		states[at] = state
	}
	return in, states, nil
}

func setIf(dst *string, v *string) {
	if v != nil {
		*dst = *v
	}
}

// inExport puts the paths of an error about a model's fields to where they are
// in the request: those given beside the export stay.
func inExport(err error, given catalogue.ModelFields) error {
	var beside map[string]json.RawMessage
	if raw, e := json.Marshal(given); e == nil {
		_ = json.Unmarshal(raw, &beside)
	}
	return movePaths(err, func(path string) string {
		field, _, _ := strings.Cut(path, ".")
		field, _, _ = strings.Cut(field, "[")
		switch {
		case beside[field] != nil:
			return path
		case field == "modelState":
			return "model." + path
		}
		return "model.model." + path
	})
}

// atPath puts the paths of an error that lie at or below one place to another.
func atPath(err error, from, to string) error {
	return movePaths(err, func(path string) string {
		if rest, ok := strings.CutPrefix(path, from); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return to + rest
		}
		return path
	})
}

// movePaths returns an error about fields with other paths.
func movePaths(err error, move func(path string) string) error {
	var e *decision.Error
	if !errors.As(err, &e) || len(e.Details) == 0 {
		return err
	}
	var p decision.Problems
	for _, d := range e.Details {
		p.Addf(move(d.Path), "%s", d.Message)
	}
	return p.Err()
}

// stateBytes returns the binary form of a state in the API's shape.
func stateBytes(m *catalogue.Model, state json.RawMessage) ([]byte, error) {
	spec, err := specOf(m)
	if err != nil {
		return nil, err
	}
	t, _ := types.Of(m.ModelType)
	if absent(state) {
		state = nil
	}
	learner, err := t.New(spec, state)
	if err != nil {
		return nil, err
	}
	return learner.AppendState(nil), nil
}

// applyImportModel checks again what the proposer checked.
func applyImportModel(m *machine, ctx *entryContext, tenant string, c command.ImportModel) (*catalogue.Model, error) {
	f := &c.Model.Fields
	if err := checkCreate(f); err != nil {
		return nil, err
	}
	spec, err := specOf(modelOf(f))
	if err != nil {
		return nil, err
	}
	if len(c.States) != len(c.Model.Versions) {
		return nil, decision.Errorf(decision.KindInternal, "%d states for %d versions", len(c.States), len(c.Model.Versions))
	}
	rec, err := m.catalogue.ImportModel(tenant, c.ID, &c.Model, ctx.at)
	if err != nil {
		return nil, err
	}
	m.directory.put(rec.ID, m.start(rec, actors.Birth{ID: rec.ID, Spec: spec, JSON: stateOf(f), Index: ctx.index}))
	for i, v := range rec.Versions {
		if c.States[i] != nil {
			ctx.batch.PutState(m.tenants[tenant].Ordinal, rec.ID, v.Version, c.States[i])
		}
	}
	return &rec.Model, nil
}
