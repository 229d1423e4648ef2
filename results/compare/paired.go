package compare

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/kabench/kabench/results"
)

// leastBlocks is how many blocks the paired test needs. With two it could find
// almost nothing, and would halve the level of the other test.
const leastBlocks = 3

// inBlocks returns the indices, in a and in b, of the runs of the same block.
func inBlocks(a, b sample) (ia, ib []int) {
	for i, block := range a.blocks {
		if k := slices.Index(b.blocks, block); block > 0 && k >= 0 && slices.Index(a.blocks, block) == i {
			ia, ib = append(ia, i), append(ib, k)
		}
	}
	return ia, ib
}

// tests is the number of tests of the question: over all runs and, if there are
// enough blocks, within blocks. Each test gets an equal share of the chance of a false
// finding, so that the smaller P value may be used.
func (q *question) tests() float64 {
	if ia, _ := inBlocks(q.sa, q.sb); len(ia) >= leastBlocks {
		return 2
	}
	return 1
}

// paired is Student's t test of the differences within blocks. The runs of a block
// share their arrivals and the state of the machine, so these cancel out in a
// difference. Rates are compared by their log odds, times by their logarithms.
type paired struct {
	mean, sd float64
	n        float64
}

// paired returns false if there are too few blocks, or if all blocks have the same
// difference.
func (q *question) paired() (d paired, known bool) {
	if q.tests() < 2 {
		return paired{}, false
	}
	ia, ib := inBlocks(q.sa, q.sb)
	differences := make([]float64, len(ia))
	rounding := 0.0 // variance: no value is more exact than half a step
	for i := range ia {
		x, rx := q.logScale(q.sa, ia[i])
		y, ry := q.logScale(q.sb, ib[i])
		differences[i] = y - x
		rounding += (rx*rx + ry*ry) / 4 / float64(len(ia))
	}
	mean, variance := stat.MeanVariance(differences, nil)
	if variance == 0 {
		return paired{}, false
	}
	return paired{mean, math.Sqrt(max(variance, rounding)), float64(len(ia))}, true
}

// logScale is a run's value on the scale on which blocks are compared, and its
// smallest possible step.
func (q *question) logScale(s sample, i int) (value, step float64) {
	switch {
	case q.measure.counts != nil:
		c := s.counts[i]
		return logOdds(c), 1/(float64(c.k)+0.5) + 1/(float64(c.n-c.k)+0.5)
	case q.measure.scaled:
		v := max(s.values[i], tick)
		return math.Log(v), tick / v
	case q.measure.unit == results.UnitCount:
		return s.values[i], 1
	}
	return s.values[i], 0
}

func (d paired) se() float64 { return d.sd / math.Sqrt(d.n) }

func (d paired) p() float64 { return 2 * studentTail(math.Abs(d.mean)/d.se(), d.n-1) }

func (d paired) interval(confidence float64) (lo, hi float64) {
	half := d.se() * student(d.n-1, (1+confidence)/2)
	return d.mean - half, d.mean + half
}

// detectable is the smallest mean difference that is found at alpha with
// probability power.
func (d paired) detectable(alpha float64) float64 { return detectableT(d.se(), d.n-1, alpha) }

// blocks is how many blocks find the mean difference seen with probability power.
func (d paired) blocks(alpha float64) int {
	return leastRuns(leastBlocks, func(n float64) bool {
		return chanceT(math.Abs(d.mean)/d.sd*math.Sqrt(n), n-1, alpha) >= power
	})
}

// moved is the change of a rate or value when it moves by d on the scale of
// logScale.
func (q *question) moved(from, d float64) float64 {
	switch {
	case q.measure.counts != nil:
		odds := from / (1 - from) * math.Exp(d)
		return odds/(1+odds) - from
	case q.measure.scaled:
		return from * math.Expm1(d)
	}
	return d
}
