package pmml

import (
	"io"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/logistic"
)

// The categories of the target.
const (
	positive = "positive"
	negative = "negative"
)

// Logistic writes a logistic regression as a RegressionModel with the
// normalisation logit,
//
//	score = probability(positive) = 1/(1 + e^−z),  z = intercept + Σ coefficient·x.
//
// A number's weight is a NumericPredictor, whose missing values the mining schema
// replaces by the mean that the state has; the weight of a category is a
// CategoricalPredictor, to which a missing or any other value adds 0.
func Logistic(w io.Writer, meta Meta, weights logistic.Weights) error {
	const op = "pmml.Logistic"
	var p decision.Problems
	meta.check(&p)
	doc := newDocument(&meta)
	m := &regressionModel{Normalization: "logit"}
	m.Name, m.Function = meta.ModelKey, "classification"
	doc.Model = m
	table := regressionTable{Intercept: number(weights.Bias), Target: positive}
	taken := names{}
	for i := range weights.Fields {
		f := &weights.Fields[i]
		taken[f.Name] = true
		checkWeights(&p, f)
		if f.Numeric {
			mf := doc.input(&m.model, f.Name, typeDouble)
			mf.MissingReplacement, mf.MissingTreatment = number(f.Mean), "asValue"
			table.Numeric = append(table.Numeric, predictor{Name: f.Name, Coefficient: number(f.Weight)})
			continue
		}
		doc.input(&m.model, f.Name, typeString)
		for k := range f.Categories {
			c := &f.Categories[k]
			table.Categorical = append(table.Categorical, predictor{f.Name, &c.Value, number(c.Weight)})
		}
	}
	if err := refuse(op, &p); err != nil {
		return err
	}
	doc.target(&m.model, dataField{
		Name: taken.free("outcome"), OpType: categorical, DataType: typeString, Values: []value{{positive}, {negative}},
	})
	m.Outputs = []outputField{{Name: taken.free("score"), OpType: continuous, DataType: typeDouble, Feature: "probability", Value: positive}}
	m.Tables = []regressionTable{table, {Intercept: "0", Target: negative}}
	return encode(w, op, doc)
}

func checkWeights(p *decision.Problems, f *logistic.FieldWeights) {
	path := "weights[" + f.Name + "]"
	if f.Name == "" {
		p.Addf(path, "got an empty field name, want a name")
	}
	checkText(p, path, f.Name)
	if f.Numeric && len(f.Categories) > 0 {
		p.Addf(path, "got the weight of a number and that of the category %q, want one or the other: a field of PMML has one type", f.Categories[0].Value)
	}
	for i := range f.Categories {
		checkText(p, "weights["+f.Name+"="+f.Categories[i].Value+"]", f.Categories[i].Value)
	}
}
