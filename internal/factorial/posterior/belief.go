package posterior

// belief is a distribution over what the variants bring. Its methods share what was
// drawn last, so it belongs to one goroutine.
type belief interface {
	// draw draws; biased says whether with the exploration bias.
	draw(v *variates, biased bool)
	// drawMean takes the mean, or the most probable value, as if it were a draw.
	drawMean()
	// predict fills out, by variant, with values of the last draw that have the
	// order of the rewards.
	predict(at *place, out []float64)
	// reward returns the expected reward of a predicted value.
	reward(predicted float64) float64
}
