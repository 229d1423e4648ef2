package profiles

import (
	"errors"
	"path"
)

// Limit is something that a client does and its preset cannot express. In YAML it is a
// text, or a text with the stories of 'kabench conform' in which it shows:
//
//	cannot:
//	  - a FIN is seen only when the event loop runs
//	  - {what: a response cut within its headers is taken for a whole one, stories: [cut-headers-*]}
type Limit struct {
	What string `yaml:"what"`
	// Stories are names of stories in which the client and the preset differ for this
	// reason. A * stands for any characters.
	Stories []string `yaml:"stories,omitempty"`
}

// Limits are all that a preset says it cannot express.
type Limits []Limit

// Texts lists what the limits are.
func (l Limits) Texts() []string {
	var texts []string
	for _, one := range l {
		texts = append(texts, one.What)
	}
	return texts
}

// Of returns the limit that explains a difference in a story.
func (l Limits) Of(story string) (Limit, bool) {
	for _, one := range l {
		for _, pattern := range one.Stories {
			if fits, err := path.Match(pattern, story); err == nil && fits {
				return one, true
			}
		}
	}
	return Limit{}, false
}

// UnmarshalYAML reads a text, or a text with stories.
func (l *Limit) UnmarshalYAML(decode func(any) error) error {
	var text string
	if decode(&text) == nil {
		*l = Limit{What: text}
		return nil
	}
	type whole Limit
	var w whole
	if err := decode(&w); err != nil {
		return err
	}
	if w.What == "" {
		return errors.New("says nothing; give what, a text")
	}
	for _, pattern := range w.Stories {
		if _, err := path.Match(pattern, ""); err != nil {
			return errors.New(pattern + " is not a pattern; write a story's name, with * for any characters")
		}
	}
	*l = Limit(w)
	return nil
}

// MarshalYAML writes a limit without stories as its text.
func (l Limit) MarshalYAML() (any, error) {
	if len(l.Stories) == 0 {
		return l.What, nil
	}
	type whole Limit
	return whole(l), nil
}
