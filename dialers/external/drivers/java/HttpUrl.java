package kabench;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.Field;
import java.net.HttpURLConnection;
import java.net.ProtocolException;
import java.net.Proxy;
import java.net.URL;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManager;

/** HttpURLConnection of the JDK that runs, which blocks and has one cache of connections for the whole JVM. */
final class HttpUrl implements Kit.Client {
    private static final String IDLE = "http.keepAlive.time.server";
    private static final String MAX_IDLE = "http.maxConnections";
    private static final String KEEP_ALIVE = "http.keepAlive";
    private static final String RETRY_POST = "sun.net.http.retryPost";

    private static final Map<String, String> DEFAULTS = Map.of(IDLE, "5", MAX_IDLE, "5", KEEP_ALIVE, "true", RETRY_POST, "true");

    /** The properties as they are read: once, when the first request is made. */
    private static Map<String, String> properties;

    private final int connectTimeout; // milliseconds; 0: none
    private final int readTimeout;
    private final SSLSocketFactory any; // takes any certificate; null: certificates are verified

    public static void main(String[] args) throws Exception {
        Kit.driver("httpurlconnection", "HttpURLConnection", System.getProperty("java.version"))
                .duration(IDLE, 5000, "idle_timeout")
                .count(MAX_IDLE, 5, "max_idle")
                .bool(KEEP_ALIVE, true)
                .bool(RETRY_POST, true)
                .duration("connectTimeout", null, "connect_timeout")
                .duration("readTimeout", null, "response_timeout")
                .blocking()
                .run(HttpUrl::new);
    }

    HttpUrl(Config config) throws Exception {
        setProperties(config);
        connectTimeout = orZero(config.get("connectTimeout"));
        readTimeout = orZero(config.get("readTimeout"));
        SSLContext tls = SSLContext.getInstance("TLS");
        tls.init(null, new TrustManager[] {new TrustAll()}, new SecureRandom());
        any = config.insecure ? tls.getSocketFactory() : null;
        freshCache();
    }

    /** Sets the JVM's properties with the first config. A later config must have the same. */
    private static void setProperties(Config config) throws Exception {
        Map<String, String> wanted = new LinkedHashMap<>(DEFAULTS);
        config.on(IDLE, (Duration d) -> {
            if (d == null || d.isZero() || d.toMillis() % 1000 != 0) {
                throw new IllegalArgumentException("it takes whole seconds, 1 or more");
            }
            wanted.put(IDLE, String.valueOf(d.toSeconds()));
        });
        config.on(MAX_IDLE, (Integer n) -> {
            if (n == null || n <= 0) {
                throw new IllegalArgumentException("it takes 1 or more");
            }
            wanted.put(MAX_IDLE, n.toString());
        });
        config.on(KEEP_ALIVE, (Boolean on) -> wanted.put(KEEP_ALIVE, on.toString()));
        config.on(RETRY_POST, (Boolean on) -> wanted.put(RETRY_POST, on.toString()));
        for (Map.Entry<String, String> e : wanted.entrySet()) {
            if (properties != null && !e.getValue().equals(properties.get(e.getKey()))) {
                throw new Config.Refused(e.getKey(), "the JDK reads it once, and it is " + properties.get(e.getKey()) + "; another value takes a new process of the driver");
            }
            if (properties == null && !e.getValue().equals(DEFAULTS.get(e.getKey()))) {
                System.setProperty(e.getKey(), e.getValue());
            }
        }
        properties = wanted;
    }

    /** Puts a new cache in place of the JVM's. Idle connections of the old one end at their idle time. */
    private static void freshCache() throws ReflectiveOperationException {
        Field cache = Class.forName("sun.net.www.http.HttpClient").getDeclaredField("kac");
        cache.setAccessible(true);
        var make = cache.getType().getDeclaredConstructor();
        make.setAccessible(true);
        cache.set(null, make.newInstance());
    }

    private static int orZero(Duration d) {
        return d == null ? 0 : (int) d.toMillis();
    }

    @Override
    public void call(Call call) throws IOException {
        if (call.size > 0 && call.method.equals("GET")) {
            throw new ProtocolException("the driver sent nothing: HttpURLConnection makes a POST of a GET with a body");
        }
        HttpURLConnection c = (HttpURLConnection) new URL(call.url).openConnection(Proxy.NO_PROXY);
        if (any != null && c instanceof HttpsURLConnection tls) {
            tls.setSSLSocketFactory(any);
            tls.setHostnameVerifier((host, session) -> true);
        }
        c.setRequestMethod(call.method);
        c.setInstanceFollowRedirects(false);
        c.setConnectTimeout(connectTimeout);
        c.setReadTimeout(readTimeout);
        for (String[] h : call.headers) {
            c.addRequestProperty(h[0], h[1]);
        }
        call.onTimeout(c::disconnect);
        call.begin();
        if (call.size > 0) {
            c.setDoOutput(true);
            try (OutputStream out = c.getOutputStream()) {
                out.write(call.body());
            }
        }
        int status = c.getResponseCode();
        call.status(status);
        try (InputStream in = status >= 400 ? c.getErrorStream() : c.getInputStream()) {
            byte[] part = new byte[8192];
            for (int n = in == null ? -1 : in.read(part); n >= 0; n = in.read(part)) {
                call.read(n);
            }
        }
        call.done();
    }

    @Override
    public void close() {} // there is nothing to close: the next config gets a cache of its own
}
