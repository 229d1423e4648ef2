package profiles

import (
	"reflect"
	"strings"

	"github.com/kabench/kabench/internal/strictyaml"
)

// ownDefaults are fields whose defaults are kabench's own. They say nothing about the
// user's client or traffic.
var ownDefaults = []string{"load.timeout", "load.max_in_flight", "load.arrivals", "target.tcp.keep_alive", "target.method"}

// LoadToCheck applies sets, each of the form path=value, to Default, for a check
// without a run. It validates the result as Load does, but needs no rate and no
// target. Fields of ownDefaults that no set gives are Assumed.
func LoadToCheck(sets []string) (*Profile, error) {
	p := Default()
	d := newDecoder(Default())
	for _, set := range sets {
		d.setArgument(&p, set)
	}
	refused := d.Errs
	for _, c := range p.complaints() {
		absent := c.Path == "load.rate" && p.Load.Rate == 0 || c.Path == "target.url" && p.Target.URL == ""
		if !absent && !refused.Touch(c.Path) {
			d.Errs = append(d.Errs, d.Located(c, ""))
		}
	}
	if len(d.Errs) > 0 {
		return nil, WithoutSecrets(d.Errs, sets...)
	}
	p.Assumed, p.Warnings = d.notGiven(), d.warnings()
	return &p, nil
}

// AssumeUnsaid marks as Assumed the fields of ownDefaults that neither the profile's
// text nor sets give. It is for a profile whose pool belongs to a client that sends
// the user's own traffic.
func (p *Profile) AssumeUnsaid(text []byte, sets []string) {
	d, scratch := newDecoder(Default()), Default()
	d.document(text, reflect.ValueOf(&scratch).Elem())
	for _, set := range sets {
		d.setArgument(&scratch, set)
	}
	p.Assumed = d.notGiven()
}

// notGiven returns the fields of ownDefaults that were not set.
func (d *decoder) notGiven() map[string]bool {
	assumed := map[string]bool{}
	for _, field := range ownDefaults {
		assumed[field] = true
		for path := range d.Places {
			if path == field || strings.HasPrefix(path, field+".") || strings.HasPrefix(field, path+".") && !d.hasWithin(path) {
				delete(assumed, field)
			}
		}
	}
	return assumed
}

// hasWithin reports whether fields of the section at path were set one by one.
func (d *decoder) hasWithin(path string) bool {
	for other := range d.Places {
		if strings.HasPrefix(other, path+".") {
			return true
		}
	}
	return false
}

// ValidateFacts returns every complaint about p.Server and p.Via as an Errors, or nil.
func (p *Profile) ValidateFacts() error {
	return append(strictyaml.Under("server", p.Server.Validate()), strictyaml.Under("via", p.Via.Validate())...).Err()
}
