package pmml

import (
	"encoding/xml"
	"strconv"
)

// The elements of PMML 4.4 that the export uses, with the attributes it sets, in
// the order of the schema.

type document struct {
	XMLName xml.Name    `xml:"http://www.dmg.org/PMML-4_4 PMML"`
	Version string      `xml:"version,attr"`
	Header  header      `xml:"Header"`
	Fields  []dataField `xml:"DataDictionary>DataField"`
	Model   any         // *scorecardModel or *regressionModel
}

type header struct {
	Description  string      `xml:"description,attr,omitempty"`
	ModelVersion string      `xml:"modelVersion,attr,omitempty"`
	Application  application `xml:"Application"`
	Timestamp    string      `xml:"Timestamp,omitempty"`
}

type application struct {
	Name    string `xml:"name,attr"`
	Version string `xml:"version,attr,omitempty"`
}

type dataField struct {
	Name     string  `xml:"name,attr"`
	OpType   string  `xml:"optype,attr"`
	DataType string  `xml:"dataType,attr"`
	Values   []value `xml:"Value"`
}

type value struct {
	Value string `xml:"value,attr"`
}

// model is what the model elements have in common.
type model struct {
	Name          string        `xml:"modelName,attr,omitempty"`
	Function      string        `xml:"functionName,attr"`
	MiningFields  []miningField `xml:"MiningSchema>MiningField"`
	Outputs       []outputField `xml:"Output>OutputField"`
	DerivedFields []outputField `xml:"LocalTransformations>DerivedField,omitempty"`
}

type miningField struct {
	Name               string `xml:"name,attr"`
	UsageType          string `xml:"usageType,attr,omitempty"`
	MissingReplacement string `xml:"missingValueReplacement,attr,omitempty"`
	MissingTreatment   string `xml:"missingValueTreatment,attr,omitempty"`
	InvalidTreatment   string `xml:"invalidValueTreatment,attr,omitempty"`
}

// outputField is an OutputField, or without feature and value a DerivedField.
type outputField struct {
	Name       string `xml:"name,attr"`
	OpType     string `xml:"optype,attr"`
	DataType   string `xml:"dataType,attr"`
	Feature    string `xml:"feature,attr,omitempty"`
	Value      string `xml:"value,attr,omitempty"`
	Expression any
}

type scorecardModel struct {
	XMLName xml.Name `xml:"Scorecard"`
	model
	InitialScore    string           `xml:"initialScore,attr"`
	UseReasonCodes  bool             `xml:"useReasonCodes,attr"`
	Characteristics []characteristic `xml:"Characteristics>Characteristic"`
}

type characteristic struct {
	Name       string      `xml:"name,attr"`
	Attributes []attribute `xml:"Attribute"`
}

type attribute struct {
	PartialScore string `xml:"partialScore,attr"`
	Predicate    any
}

type regressionModel struct {
	XMLName xml.Name `xml:"RegressionModel"`
	model
	Normalization string            `xml:"normalizationMethod,attr"`
	Tables        []regressionTable `xml:"RegressionTable"`
}

type regressionTable struct {
	Intercept   string      `xml:"intercept,attr"`
	Target      string      `xml:"targetCategory,attr"`
	Numeric     []predictor `xml:"NumericPredictor"`
	Categorical []predictor `xml:"CategoricalPredictor"`
}

// predictor is a NumericPredictor, or with a value a CategoricalPredictor.
type predictor struct {
	Name        string  `xml:"name,attr"`
	Value       *string `xml:"value,attr"`
	Coefficient string  `xml:"coefficient,attr"`
}

// Predicates.

type simplePredicate struct {
	XMLName  xml.Name `xml:"SimplePredicate"`
	Field    string   `xml:"field,attr"`
	Operator string   `xml:"operator,attr"`
	Value    string   `xml:"value,attr"`
}

type compoundPredicate struct {
	XMLName    xml.Name `xml:"CompoundPredicate"`
	Operator   string   `xml:"booleanOperator,attr"`
	Predicates []simplePredicate
}

type truePredicate struct {
	XMLName xml.Name `xml:"True"`
}

// Expressions.

type apply struct {
	XMLName      xml.Name `xml:"Apply"`
	Function     string   `xml:"function,attr"`
	MapMissingTo string   `xml:"mapMissingTo,attr,omitempty"`
	Arguments    []any
}

type fieldRef struct {
	XMLName xml.Name `xml:"FieldRef"`
	Field   string   `xml:"field,attr"`
}

type constant struct {
	XMLName  xml.Name `xml:"Constant"`
	DataType string   `xml:"dataType,attr"`
	Text     string   `xml:",chardata"`
}

func call(function string, arguments ...any) apply {
	return apply{Function: function, Arguments: arguments}
}

func ref(field string) fieldRef { return fieldRef{Field: field} }

func literal(v float64) constant { return constant{DataType: typeDouble, Text: number(v)} }

// The types of fields.
const (
	typeDouble  = "double"
	typeString  = "string"
	typeBoolean = "boolean"

	continuous  = "continuous"
	categorical = "categorical"
)

// input declares a field that the model reads. What is not of its type is
// missing, not an error.
func (d *document) input(m *model, name, dataType string) *miningField {
	opType := categorical
	if dataType == typeDouble {
		opType = continuous
	}
	d.Fields = append(d.Fields, dataField{Name: name, OpType: opType, DataType: dataType})
	m.MiningFields = append(m.MiningFields, miningField{Name: name, InvalidTreatment: "asMissing"})
	return &m.MiningFields[len(m.MiningFields)-1]
}

// target declares the field that the model predicts.
func (d *document) target(m *model, f dataField) {
	d.Fields = append(d.Fields, f)
	m.MiningFields = append(m.MiningFields, miningField{Name: f.Name, UsageType: "target"})
}

func newDocument(meta *Meta) *document {
	d := &document{Version: "4.4", Header: header{
		Description: meta.Name,
		Application: application{Name: "praetor", Version: meta.ApplicationVersion},
		Timestamp:   meta.Timestamp,
	}}
	if meta.Version > 0 {
		d.Header.ModelVersion = strconv.FormatUint(meta.Version, 10)
	}
	return d
}
