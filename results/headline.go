package results

// Headline is the answer of a report on its first screen: a sentence, and three
// figures that it rests on.
type Headline struct {
	Answer  string   `json:"answer"`
	Good    bool     `json:"good"` // the run is valid and showed what it was to show
	Figures []Figure `json:"figures"`
}

// Figure is a number with what it says, as printed.
type Figure struct {
	Value string `json:"value"` // "10.0 %"
	Label string `json:"label"` // "of requests failed"
	Note  string `json:"note,omitempty"`
}
