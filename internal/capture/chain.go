package capture

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kabench/kabench/internal/evidence/segments"
)

// span is the time that a file covers.
type span struct {
	name        string
	first, last time.Time
	links       string
	sample      sample
}

// chained sorts files into captures: the files of one follow each other in time, and have
// other segments. begin is the time of the first packet, if there are several files.
func chained(files []string) (chains [][]string, begin time.Time, err error) {
	if len(files) == 1 {
		return [][]string{files}, time.Time{}, nil
	}
	if slices.Contains(files, Stdin) {
		return nil, time.Time{}, errors.New("the standard input must be the only capture")
	}
	for i, name := range files {
		if slices.Contains(files[:i], name) {
			return nil, time.Time{}, fmt.Errorf("%s is named twice", name)
		}
	}
	var spans []span
	for _, name := range files {
		s, err := spanOf(name)
		if err != nil {
			return nil, time.Time{}, err
		}
		spans = append(spans, s)
	}
	slices.SortStableFunc(spans, func(a, b span) int { return a.first.Compare(b.first) })
	var last []span
	var samples [][]sample // of the files of each chain
	for _, s := range spans {
		if !s.first.IsZero() && (begin.IsZero() || s.first.Before(begin)) {
			begin = s.first
		}
		i := 0
		for i < len(last) && (last[i].links != s.links || s.first.Before(last[i].last.Add(-rotation)) || slices.ContainsFunc(samples[i], s.sample.shares)) {
			i++
		}
		if i == len(last) {
			chains, last, samples = append(chains, nil), append(last, s), append(samples, nil)
		}
		chains[i], last[i], samples[i] = append(chains[i], s.name), s, append(samples[i], s.sample)
	}
	return chains, begin, nil
}

// rotation is how far the packets of two files of one capture may overlap.
const rotation = 100 * time.Millisecond

// spanOf reads a file for the time that it covers, and samples its segments.
func spanOf(name string) (span, error) {
	f, err := open(name)
	if err != nil {
		return span{}, err
	}
	defer f.close()
	s := span{name: name}
	var p packet
	var one segments.Segment
	for f.next(&p) == nil {
		if known(p.link) && decode(p.link, p.data, p.size, &one) == isTCP {
			s.sample.add(&one)
		}
		if s.first.IsZero() {
			s.first, s.links = p.at, fmt.Sprint(p.link, f.channel(p.channel))
		}
		if p.at.After(s.last) {
			s.last = p.at
		}
	}
	return s, nil
}

// sample is some of a file's segments, each as a number that does not depend on addresses
// and times: the smallest numbers, in order. Two captures of the same traffic have the
// same ones, whatever their clocks say; two parts of one capture have others.
type sample []uint64

const sampled = 256 // segments in a sample

func (s *sample) add(one *segments.Segment) {
	if one.Len == 0 && one.Flags&segments.FlagSYN == 0 {
		return
	}
	number := scattered(uint64(one.Seq)<<32|uint64(one.Ack)) + uint64(one.Len)
	if len(*s) == sampled && number >= (*s)[sampled-1] {
		return
	}
	i, found := slices.BinarySearch(*s, number)
	if found {
		return
	}
	*s = slices.Insert((*s)[:min(len(*s), sampled-1)], i, number)
}

// scattered returns another number for each n, as if by chance (the last steps of
// splitmix64).
func scattered(n uint64) uint64 {
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

// shares reports whether two samples have much in common. A few segments, sent again,
// may stand in two files of one capture.
func (s sample) shares(other sample) bool {
	same := 0
	for _, number := range s {
		if _, found := slices.BinarySearch(other, number); found {
			same++
		}
	}
	return same > 3 && same*10 > min(len(s), len(other))
}
