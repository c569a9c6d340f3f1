// Package boosted scores gradient boosted decision trees in LightGBM's own model
// format and prepares their training (Ke et al., LightGBM: A highly efficient
// gradient boosting decision tree, NIPS 2017).
//
// What: the margin is the sum of one leaf per tree,
//
//	raw = Σ leaf_t(x),  score = 1/(1 + e^(−σ·raw)),
//
// with the σ of the model's objective "binary sigmoid:σ", else 1 (cross_entropy,
// no objective). A model with average_output (a random forest) divides the sum by
// the number of trees before the sigmoid; raw stays the sum, as LightGBM's own
// raw score and contributions do. A model without state has no trees: raw is 0
// and the score 0.5 until it is trained.
//
// A state is LightGBM's model as text, {"model": "tree\nversion=v4\n…"}, or its JSON
// dump as it is. Every decision is the one of LightGBM's predictor, value by
// value: numerical and categorical splits, the three missing types, default
// directions, zero as missing, unseen categories. The sum runs over the trees in
// their order, so that raw has LightGBM's bits. Linear trees, several classes and
// objectives whose output is no probability are refused with the reason.
//
// A feature takes the field of its name. Text reaches a categorical feature
// through the model's pandas_categorical, or through the state's own "columns",
// a list parallel to the features (see Column) that also renames them; a model
// with neither takes numbers as codes. What has no number and no category there,
// a numeric string say, is missing.
//
// Explanations are exact path-dependent SHAP values (see shap.go), one per field
// that some split uses; with the result's baseline they add up to raw.
//
// Training runs in a worker of its own: NewEncoder profiles the rows of a source,
// Encode writes them in the worker's form, and State joins the model text that
// comes back with the columns it was trained on. Scoring and Encode read a row
// by the same code, so that both map text to the same codes.
//
// Cost: a score is one walk over the row, one pass over the model's distinct
// columns and one path per tree, without allocation; an explanation O(T·L·D²) for
// T trees of L leaves and depth D.
package boosted
