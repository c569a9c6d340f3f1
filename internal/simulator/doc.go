// Package simulator is a market whose truth is known: customers, offers and
// channels, and for each combination of them the probability that the customer
// accepts. What a model learned can be held against it, and what a policy lost
// by its choices (its regret) is exact instead of estimated.
//
// # The truth
//
// A visitor is a customer at a channel. With
//
//	a = (age − 45) / 16             s = (credit_score − 680) / 80
//	l = ln(income / 42 000) / 0.55  t = ln(1 + tenure_months / 24) − 1
//	m = 1 with a mortgage, else 0   d = 1 for a digital customer, else 0
//
// the probability that the visitor accepts offer o at channel c is
//
//	p = sigmoid( base(o) + channel(c)                       main effects
//	           + 0.30·s + 0.20·t
//	           − 0.15·a²                                    mild nonlinearity
//	           + A(o)·a + L(o)·l + M(o)·m + D(o)·d          customer × offer
//	           + S(category(o), segment)
//	           + 0.50·d·[c = app] − 0.30·d·[c = branch] )   customer × channel
//
// The offers with base, A, L, M and D:
//
//	offer            category    fee  rate   base     A      L      M      D
//	travel-card      cards        95   0.0  −2.00   0.00   0.70   0.00   0.30
//	cashback-card    cards         0   0.0  −1.45  −0.30  −0.10   0.00   0.20
//	first-card       cards         0   0.0  −2.20  −0.60  −0.40   0.00   0.00
//	fixed-deposit    savings       0   3.4  −2.10   0.30   0.40   0.00   0.00
//	instant-saver    savings       0   1.9  −1.80   0.00   0.10   0.00   0.40
//	personal-loan    loans         0   7.9  −2.30  −0.20  −0.30  −0.20   0.00
//	home-loan        loans         0   4.9  −2.60   0.00   0.20   1.20   0.00
//	travel-cover     insurance    60   0.0  −2.40   0.00   0.40   0.00   0.00
//
// The segments' affinity S, and the channels with their share of the traffic:
//
//	            student  family  affluent  retired      channel  effect  share
//	cards         0.60    0.00     0.40     −0.90       web        0.00   0.40
//	savings      −0.80    0.00     0.60      0.90       app        0.20   0.30
//	loans        −0.20    0.90    −0.80     −1.20       email     −0.60   0.20
//	insurance    −0.60    0.50     0.10      0.30       branch     0.50   0.10
//
// The constants are ours: chosen so that acceptance is rare (about one in
// seven), no offer is best for everybody, and a model without customer × offer
// terms cannot reach the truth.
//
// # The customers
//
// age is uniform in [18, 85); ln income is normal around ln 42 000 with
// deviation 0.55, and 0.45 lower under 25; credit_score is
// normal with mean 680 + 25·l and deviation 75, kept in [300, 850];
// tenure_months is exponential with mean 48, at most 12·(age − 17); a mortgage is
// held with probability 0.45 from 28 to 65, else 0.08; digital is true with
// probability sigmoid(1.2 − 0.9·a); region is one of four and means nothing.
// segment is student under 25, retired from 65, affluent where income is at
// least 60 000, else family.
//
// What a model sees of a customer are the attributes, of which income is
// missing in 12 % and credit_score in 8 % of the customers; the truth uses the
// value all the same.
//
// # Determinism
//
// Everything is a pure function of the seed and an index (PCG, one generator
// per customer, visitor or outcome), so nothing depends on the order of calls
// and any goroutine may call anything. Whether a visitor accepts an offer is
// fixed too: policies that show the same visitor the same offer see the same
// outcome.
package simulator
