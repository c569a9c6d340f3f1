package factorial

import "math"

// Arm is what was seen of the visitors of one side: the held out, the treated.
type Arm struct {
	Users      uint64
	Sum, SumSq float64 // of a value each: whether they converted, or what they brought
}

// MinLiftUsers is how many visitors both sides need before an interval is given;
// below that the normal approximation is not worth its name.
const MinLiftUsers = 100

// Lift is a measured difference in percent. Without Known there is none: a side
// has no visitors, or the held out brought nothing. Without Tested there are too
// few visitors for the interval and p.
type Lift struct {
	Known, Tested bool
	Percent, SE   float64
	Lower, Upper  float64 // 95 %
	P             float64 // two-sided, of no difference
	HoldoutUsers  uint64
	TreatedUsers  uint64
}

// MeasureLift compares the treated with the held out:
//
//	L = 100·(m − h)/h,  se = 100·√(V_m/h² + m²·V_h/h⁴)
//
// m and h are the means of a visitor, V their variances: p(1−p)/n of a proportion,
// the sample variance over n of a number. se is the delta method's for a ratio
// (G. Casella, R. L. Berger, Statistical Inference, 5.5.4). The interval is
// L ± 1.96·se, p that of z = L/se.
func MeasureLift(treated, holdout Arm, numeric bool) Lift {
	l := Lift{HoldoutUsers: holdout.Users, TreatedUsers: treated.Users}
	if treated.Users == 0 || holdout.Users == 0 || !(holdout.Sum > 0) {
		return l
	}
	m, vm := treated.mean(numeric)
	h, vh := holdout.mean(numeric)
	l.Known = true
	l.Percent = 100 * (m - h) / h
	l.SE = 100 * math.Sqrt(vm/(h*h)+m*m*vh/(h*h*h*h))
	if min(treated.Users, holdout.Users) < MinLiftUsers || !(l.SE > 0) {
		return l
	}
	const z = 1.96 // as experimenters write it; the quantile is 1.959964
	l.Tested = true
	l.Lower, l.Upper = l.Percent-z*l.SE, l.Percent+z*l.SE
	l.P = math.Erfc(math.Abs(l.Percent/l.SE) / math.Sqrt2)
	return l
}

// mean returns the mean of a visitor's value and that mean's variance.
func (a *Arm) mean(numeric bool) (mean, variance float64) {
	n := float64(a.Users)
	mean = a.Sum / n
	if !numeric {
		return mean, mean * (1 - mean) / n
	}
	if a.Users < 2 {
		return mean, 0
	}
	return mean, max(a.SumSq-a.Sum*mean, 0) / (n - 1) / n
}
