package kabench;

import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** How a client must be made. What is not set keeps the client's default. */
public final class Config {
    /** Applies a value; it is null for "off" and "no limit". */
    public interface Setter<T> {
        void set(T value) throws Exception;
    }

    /** Says why a config is not taken. */
    static final class Refused extends Exception {
        private static final long serialVersionUID = 1;

        final String setting;

        Refused(String setting, Throwable why) {
            this(setting, why.getMessage() == null ? why.toString() : why.getMessage());
        }

        Refused(String setting, String text) {
            super(text);
            this.setting = setting;
        }
    }

    /** A setting of the client. */
    static final class Setting {
        final String name;
        final String kind;
        final Object value; // the client's default
        final String pool; // kabench's field with the same meaning, or null
        final List<String> values = new ArrayList<>(); // of a text; none: any
        final Map<String, String> words = new LinkedHashMap<>();

        Setting(String name, String kind, Object value, String pool) {
            this.name = name;
            this.kind = kind;
            this.value = value;
            this.pool = pool;
        }

        Map<String, Object> describe() {
            Map<String, Object> map = new LinkedHashMap<>();
            map.put("name", name);
            map.put("kind", kind);
            map.put("default", value);
            if (pool != null) {
                map.put("pool", pool);
            }
            if (!values.isEmpty()) {
                map.put("values", values);
            }
            if (!words.isEmpty()) {
                map.put("words", words);
            }
            return map;
        }

        /** Converts a value of a frame: to Duration, Integer, Boolean or String. */
        Object convert(Object v) throws Refused {
            if (v == null) {
                return null;
            }
            if (kind.equals("duration") && v instanceof Number n && n.doubleValue() >= 0) {
                return Duration.ofNanos(Math.round(n.doubleValue() * 1e6));
            }
            if (kind.equals("count") && v instanceof Long n && n >= Integer.MIN_VALUE && n <= Integer.MAX_VALUE) {
                return n.intValue();
            }
            boolean fits = kind.equals("bool") && v instanceof Boolean || kind.equals("text") && v instanceof String;
            if (fits && (values.isEmpty() || values.contains(v))) {
                return v;
            }
            String wanted = Map.of("duration", "milliseconds, 0 or more", "count", "a whole number", "bool", "true or false", "text", "a text").get(kind);
            throw new Refused(name, v + " is not allowed; it takes " + (values.isEmpty() ? wanted : "one of " + String.join(", ", values)));
        }
    }

    public final Duration timeout; // of a call; 0: none
    public final boolean insecure; // certificates are not verified
    final Duration gauges; // how often they are reported; 0: never

    private final Map<String, Setting> known;
    private final Map<String, Object> values = new LinkedHashMap<>();

    Config(Map<?, ?> frame, Map<String, Setting> known, String client) throws Refused {
        this.known = known;
        timeout = millis(frame.get("timeout"));
        gauges = millis(frame.get("gauges"));
        insecure = Boolean.TRUE.equals(frame.get("insecure"));
        if (frame.get("settings") instanceof Map<?, ?> given) {
            for (Map.Entry<?, ?> e : given.entrySet()) {
                Setting s = known.get(e.getKey());
                if (s == null) {
                    throw new Refused((String) e.getKey(), client + " has no such setting; it has " + String.join(", ", known.keySet()));
                }
                values.put(s.name, s.convert(e.getValue()));
            }
        }
    }

    private static Duration millis(Object v) {
        return Duration.ofNanos(v instanceof Number n ? Math.round(n.doubleValue() * 1e6) : 0);
    }

    /** Calls set if the setting is given. An exception in it refuses the setting. */
    @SuppressWarnings("unchecked")
    public <T> void on(String name, Setter<T> set) throws Refused {
        if (!known.containsKey(name)) {
            throw new IllegalArgumentException("the driver does not name its setting " + name);
        }
        if (!values.containsKey(name)) {
            return;
        }
        T value = (T) values.get(name);
        try {
            set.set(value);
        } catch (Exception e) {
            throw new Refused(name, value == null && e instanceof NullPointerException ? "it cannot be off or without a limit; give a value" : e.toString());
        }
    }

    /** Returns the value that is given, else the client's default as the driver has named it. */
    @SuppressWarnings("unchecked")
    public <T> T get(String name) throws Refused {
        return (T) (values.containsKey(name) ? values.get(name) : known.get(name).convert(longs(known.get(name).value)));
    }

    private static Object longs(Object v) {
        return v instanceof Integer n ? Long.valueOf(n) : v;
    }
}
