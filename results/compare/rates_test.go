package compare

import (
	"math"
	"testing"

	"github.com/kabench/kabench/results"
)

// The tests of rates by hand, as numpy and scipy 1.17 work them out (t.sf,
// ttest_rel).
func TestRatesKnown(t *testing.T) {
	sampleOf := func(k ...uint64) (s sample) {
		for i, k := range k {
			s.counts, s.values, s.blocks = append(s.counts, counted{k, 2000}), append(s.values, float64(k)/2000), append(s.blocks, i+1)
		}
		return s
	}
	a, b := sampleOf(30, 28, 33), sampleOf(60, 66, 51)
	r := ratesOf(a, b, 1, 0)
	if want := 0.00816772375; math.Abs(r.p()-want) > 1e-9 || math.Abs(r.df-3.645335942) > 1e-8 {
		t.Errorf("over all runs p is %.9g with %.9g degrees of freedom, want %g", r.p(), r.df, want)
	}
	q := question{measure: measure{name: results.MeasureFailureRate, counts: func(*results.Run) (k, n uint64) { return }}, sa: a, sb: b}
	d, known := q.paired()
	if want := 0.0329136594; !known || math.Abs(d.p()-want) > 1e-9 || math.Abs(math.Exp(d.mean)-1.95178708) > 1e-8 {
		t.Errorf("within blocks p is %.9g, want %g", d.p(), want)
	}
	q.sa, q.sb = b, a
	if back, _ := q.paired(); !close(d.p(), back.p()) || !close(d.mean, -back.mean) || !close(ratesOf(b, a, 1, 0).p(), r.p()) {
		t.Error("the other way round it is another P value")
	}
	// Runs that differ by more than chance: each setting's spread counts.
	if p := ratesOf(sampleOf(5, 30, 55), sampleOf(20, 61, 102), 1, 0).p(); p < 0.1 {
		t.Errorf("three runs that vary tenfold are told apart from three of twice as many: p %g", p)
	}
}

func TestStudentKnown(t *testing.T) {
	for _, tt := range []struct{ df, p, want float64 }{ // scipy's t.ppf
		{1, 0.99375, 50.923037}, {2.5, 0.9875, 4.863906}, {4, 0.999, 7.173182}, {30, 0.975, 2.042272}, {math.Inf(1), 0.975, 1.959964},
	} {
		if got := student(tt.df, tt.p); math.Abs(got-tt.want) > 1e-5 {
			t.Errorf("%v degrees of freedom at %v: %.6f, want %.6f", tt.df, tt.p, got, tt.want)
		}
		if got := criticalT(2 * (1 - tt.p))(tt.df); math.Abs(got/tt.want-1) > 0.02 {
			t.Errorf("%v degrees of freedom at %v: %.6f interpolated, want %.6f", tt.df, tt.p, got, tt.want)
		}
	}
	for _, tt := range []struct{ t, df, want float64 }{ // t.sf
		{5.5, 4, 0.0026640642}, {12, 2.9, 0.00073077652}, {40, 8, 8.3928594e-11}, {3, 1, 0.10241638},
	} {
		if got := studentTail(tt.t, tt.df); math.Abs(got/tt.want-1) > 1e-6 {
			t.Errorf("above %v with %v degrees of freedom: %g, want %g", tt.t, tt.df, got, tt.want)
		}
	}
}
