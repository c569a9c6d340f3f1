package httpapi

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"sort"
	"strings"

	"github.com/oasdiff/yaml"
)

// openapiYAML is the API's description, and the only one: what is served as
// JSON and as a page is made from it, and a test holds it equal to the routes.
//
//go:embed openapi.yaml
var openapiYAML []byte

//go:embed docs.html
var docsHTML string

// document is the description in the forms that are served.
type document struct {
	json []byte
	page []byte
}

// loadDocument makes the served forms of the description.
func loadDocument() (*document, error) {
	asJSON, err := yaml.YAMLToJSON(openapiYAML)
	if err != nil {
		return nil, fmt.Errorf("httpapi: openapi.yaml: %w", err)
	}
	var d description
	if err := json.Unmarshal(asJSON, &d); err != nil {
		return nil, fmt.Errorf("httpapi: openapi.yaml: %w", err)
	}
	var page bytes.Buffer
	if err := docsTemplate.Execute(&page, d.view()); err != nil {
		return nil, fmt.Errorf("httpapi: docs page: %w", err)
	}
	return &document{json: asJSON, page: page.Bytes()}, nil
}

func (d *document) serveJSON(rq *request) error {
	rq.out = append(rq.out, d.json...)
	return nil
}

func (d *document) servePage(rq *request) error {
	rq.contentType = "text/html; charset=utf-8"
	rq.out = append(rq.out, d.page...)
	return nil
}

// description is what the page needs of an OpenAPI document.
type description struct {
	Info struct {
		Title       string `json:"title"`
		Version     string `json:"version"`
		Description string `json:"description"`
	} `json:"info"`
	Tags []struct {
		Name        string `json:"name"`
		Description string `json:"description"`
	} `json:"tags"`
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Schemas    map[string]json.RawMessage      `json:"schemas"`
		Parameters map[string]parameterDescription `json:"parameters"`
		Responses  map[string]responseDescription  `json:"responses"`
	} `json:"components"`
}

type operationDescription struct {
	Tags        []string               `json:"tags"`
	Summary     string                 `json:"summary"`
	Description string                 `json:"description"`
	Role        string                 `json:"x-role"`
	Parameters  []parameterDescription `json:"parameters"`
	RequestBody *struct {
		Content map[string]mediaDescription `json:"content"`
	} `json:"requestBody"`
	Responses map[string]responseDescription `json:"responses"`
}

type parameterDescription struct {
	Ref         string `json:"$ref"`
	Name        string `json:"name"`
	In          string `json:"in"`
	Description string `json:"description"`
	Required    bool   `json:"required"`
}

type responseDescription struct {
	Ref         string                      `json:"$ref"`
	Description string                      `json:"description"`
	Content     map[string]mediaDescription `json:"content"`
}

type mediaDescription struct {
	Schema   json.RawMessage `json:"schema"`
	Example  json.RawMessage `json:"example"`
	Examples map[string]struct {
		Summary string          `json:"summary"`
		Value   json.RawMessage `json:"value"`
	} `json:"examples"`
}

// The page's view of the description.
type (
	pageView struct {
		Title, Version, Description string
		Sections                    []sectionView
		Schemas                     []blockView
	}
	sectionView struct {
		Name, Description string
		Operations        []operationView
	}
	operationView struct {
		Method, Path, Anchor, Summary, Description, Role string
		Parameters                                       []parameterDescription
		Request                                          []blockView
		Responses                                        []responseView
	}
	responseView struct {
		Status, Description string
		Bodies              []blockView
	}
	blockView struct{ Title, Text string }
)

// view arranges the operations by tag, in the order of the tags, and within
// one by path.
func (d *description) view() pageView {
	v := pageView{Title: d.Info.Title, Version: d.Info.Version, Description: d.Info.Description}
	byTag := make(map[string][]operationView)
	for path, item := range d.Paths {
		for method, raw := range item {
			var op operationDescription
			if json.Unmarshal(raw, &op) != nil || len(op.Tags) == 0 {
				continue
			}
			byTag[op.Tags[0]] = append(byTag[op.Tags[0]], d.operation(strings.ToUpper(method), path, &op))
		}
	}
	for _, tag := range d.Tags {
		ops := byTag[tag.Name]
		sort.Slice(ops, func(i, j int) bool {
			if ops[i].Path != ops[j].Path {
				return ops[i].Path < ops[j].Path
			}
			return ops[i].Method < ops[j].Method
		})
		v.Sections = append(v.Sections, sectionView{Name: tag.Name, Description: tag.Description, Operations: ops})
	}
	for name, schema := range d.Components.Schemas {
		v.Schemas = append(v.Schemas, blockView{name, indent(schema)})
	}
	sort.Slice(v.Schemas, func(i, j int) bool { return v.Schemas[i].Title < v.Schemas[j].Title })
	return v
}

func (d *description) operation(method, path string, op *operationDescription) operationView {
	v := operationView{
		Method: method, Path: path, Summary: op.Summary, Description: op.Description, Role: op.Role,
		Anchor: strings.ToLower(method) + strings.NewReplacer("/", "-", "{", "", "}", "", ".", "-").Replace(path),
	}
	for _, p := range op.Parameters {
		if p.Ref != "" {
			p = d.Components.Parameters[lastPart(p.Ref)]
		}
		v.Parameters = append(v.Parameters, p)
	}
	if op.RequestBody != nil {
		v.Request = bodies(op.RequestBody.Content)
	}
	for status, r := range op.Responses {
		if r.Ref != "" {
			r = d.Components.Responses[lastPart(r.Ref)]
		}
		v.Responses = append(v.Responses, responseView{status, r.Description, bodies(r.Content)})
	}
	sort.Slice(v.Responses, func(i, j int) bool { return v.Responses[i].Status < v.Responses[j].Status })
	return v
}

// bodies shows a body's schema and its examples.
func bodies(content map[string]mediaDescription) []blockView {
	var out []blockView
	for media, m := range content {
		var ref struct {
			Ref string `json:"$ref"`
		}
		if json.Unmarshal(m.Schema, &ref) == nil && ref.Ref != "" {
			out = append(out, blockView{media, "schema " + lastPart(ref.Ref)})
		} else if len(m.Schema) > 0 {
			out = append(out, blockView{media, indent(m.Schema)})
		}
		if len(m.Example) > 0 {
			out = append(out, blockView{media + ", for example", indent(m.Example)})
		}
		for _, e := range m.Examples {
			out = append(out, blockView{media + ", " + e.Summary, indent(e.Value)})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Title < out[j].Title })
	return out
}

func lastPart(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

func indent(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return string(raw)
	}
	return b.String()
}

var docsTemplate = template.Must(template.New("docs").Parse(docsHTML))
