// Package pmml writes models as PMML 4.4, the XML form in which other scoring
// engines read them (Data Mining Group, Predictive Model Markup Language 4.4,
// http://www.dmg.org/PMML-4_4): a scorecard as a Scorecard, a logistic regression
// as a RegressionModel. Equal models with equal Meta give equal bytes.
//
// A reader's output field "score" is our score, and "rawScore" that of a
// scorecard; where an input has such a name, the output has "_" after it.
//
// # Rows that score the same
//
// A PMML field has one type, which the export takes from what the model compares
// the field with. Scores are equal, but for rounding, on rows whose fields have
// these types or are missing:
//
//   - double, where the model has numbers: a number, or a boolean as 1 or 0. Any
//     other value is missing, as it is for the model.
//   - string, where the model has texts: a text, a boolean as "true" or "false", or
//     a number as its shortest decimal text.
//   - boolean, where a scorecard has only true and false.
//
// Whoever calls the reader converts booleans and numbers so: readers differ in what
// they make of another type, and some read the text "12" as a number. A PMML field
// has one value, so that rows with arrays, whose members our models see as several
// texts, have no counterpart there.
//
// # What is refused
//
// A model that no PMML document can say is refused with KindUnprocessable and the
// rules or weights at fault: a field that is compared with numbers and with texts,
// a field with a number's weight and weights of categories, and names or texts
// with characters that XML 1.0 cannot hold.
package pmml
