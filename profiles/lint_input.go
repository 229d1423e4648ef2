package profiles

// LoadToCheck applies sets, each of the form path=value, to Default and
// validates the outcome as Load does, but for use by Check alone: it may do
// without a rate and without a target.
func LoadToCheck(sets []string) (*Profile, error) {
	p := Default()
	d := newDecoder(Default())
	for _, set := range sets {
		d.setArgument(&p, set)
	}
	refused := d.errs
	for _, c := range p.complaints() {
		absent := c.Path == "load.rate" && p.Load.Rate == 0 || c.Path == "target.url" && p.Target.URL == ""
		if !absent && !refused.touch(c.Path) {
			d.errs = append(d.errs, d.located(c, ""))
		}
	}
	if len(d.errs) > 0 {
		return nil, WithoutSecrets(d.errs, sets...)
	}
	return &p, nil
}

// ValidateFacts returns every complaint about p.Server and p.Via as an Errors;
// nil when there is none.
func (p *Profile) ValidateFacts() error {
	return append(under("server", p.Server.Validate()), under("via", p.Via.Validate())...).asError()
}
