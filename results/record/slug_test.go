package record

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSlug(t *testing.T) {
	for name, want := range map[string]string{
		"주문 서비스": "주문-서비스", "\u1112\u1161\u11ab글": "한글", "注文サービス": "注文サービス", "Заказы 2": "Заказы-2", "हिन्दी": "हिन्दी",
		"../../etc": "------etc", "a_b-c": "a_b-c", "a\x00\n\u202eb": "a---b", "\xff": "-", "": "", "e\u0301": "é", "C:\\x": "C--x",
	} {
		if got := Slug(name, "-_"); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	long := Slug(strings.Repeat("서비스", 100), "-")
	if len(long) > maxSlug || !utf8.ValidString(long) || len(long) < maxSlug-3 {
		t.Errorf("%d bytes: %q", len(long), long)
	}
}
