package kabench;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;

/** The HTTP client of the JDK that runs: java.net.http.HttpClient. */
final class JdkHttpClient implements Kit.Client {
    private static final String KEEP_ALIVE = "jdk.httpclient.keepalive.timeout";
    private static final String POOL_SIZE = "jdk.httpclient.connectionPoolSize";
    private static final String RETRY_LIMIT = "jdk.httpclient.redirects.retrylimit";
    private static final String ALL_METHODS = "jdk.httpclient.enableAllMethodRetry";
    private static final String NO_CONNECT_RETRY = "jdk.httpclient.disableRetryConnect";

    private static final int KEEP_ALIVE_MS = Runtime.version().feature() < 20 ? 1_200_000 : 30_000;

    /** The properties as they are read: once, when the first request is made. */
    private static Map<String, String> properties;

    private final HttpClient client;
    private final Duration timeout;

    public static void main(String[] args) throws Exception {
        Kit.driver("jdk-httpclient", "JDK HttpClient", System.getProperty("java.version"))
                .duration(KEEP_ALIVE, KEEP_ALIVE_MS, "idle_timeout")
                .count(POOL_SIZE, null, "max_idle_all")
                .count(RETRY_LIMIT, 5, null)
                .bool(ALL_METHODS, false)
                .bool(NO_CONNECT_RETRY, false)
                .duration("connectTimeout", null, "connect_timeout")
                .duration("timeout", null, "response_timeout")
                .text("version", "HTTP_2", null, "HTTP_2", "HTTP_1_1")
                .run(JdkHttpClient::new);
    }

    JdkHttpClient(Config config) throws Exception {
        setProperties(config);
        HttpClient.Builder builder = HttpClient.newBuilder();
        config.on("connectTimeout", (Duration d) -> {
            if (d != null) {
                builder.connectTimeout(d);
            }
        });
        config.on("version", (String v) -> builder.version(HttpClient.Version.valueOf(v)));
        if (config.insecure) {
            System.setProperty("jdk.internal.httpclient.disableHostnameVerification", "true");
            SSLContext any = SSLContext.getInstance("TLS");
            any.init(null, new TrustManager[] {new TrustAll()}, new SecureRandom());
            builder.sslContext(any);
        }
        timeout = config.get("timeout");
        client = builder.build();
    }

    /** Sets the JVM's properties with the first config. A later config must have the same. */
    private static void setProperties(Config config) throws Exception {
        Map<String, String> wanted = new LinkedHashMap<>();
        wanted.put(KEEP_ALIVE, String.valueOf(KEEP_ALIVE_MS / 1000));
        wanted.put(POOL_SIZE, "0"); // no limit
        wanted.put(RETRY_LIMIT, "5");
        wanted.put(ALL_METHODS, "false");
        wanted.put(NO_CONNECT_RETRY, "false");
        Map<String, String> defaults = Map.copyOf(wanted);
        config.on(KEEP_ALIVE, (Duration d) -> {
            if (d == null || d.toMillis() % 1000 != 0 || d.isZero()) {
                throw new IllegalArgumentException("it takes whole seconds, 1 or more");
            }
            wanted.put(KEEP_ALIVE, String.valueOf(d.toSeconds()));
        });
        config.on(POOL_SIZE, (Integer n) -> wanted.put(POOL_SIZE, n == null ? "0" : String.valueOf(positive(n))));
        config.on(RETRY_LIMIT, (Integer n) -> wanted.put(RETRY_LIMIT, String.valueOf(positive(n))));
        config.on(ALL_METHODS, (Boolean on) -> wanted.put(ALL_METHODS, on.toString()));
        config.on(NO_CONNECT_RETRY, (Boolean on) -> wanted.put(NO_CONNECT_RETRY, on.toString()));
        for (Map.Entry<String, String> e : wanted.entrySet()) {
            if (properties != null && !e.getValue().equals(properties.get(e.getKey()))) {
                throw new Config.Refused(e.getKey(), "the JDK reads it once, and it is " + properties.get(e.getKey()) + "; another value takes a new process of the driver");
            }
            if (properties == null && !e.getValue().equals(defaults.get(e.getKey()))) {
                System.setProperty(e.getKey(), e.getValue());
            }
        }
        properties = wanted;
    }

    private static int positive(int n) {
        if (n <= 0) {
            throw new IllegalArgumentException("it takes 1 or more");
        }
        return n;
    }

    @Override
    public void call(Call call) {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(call.url));
        for (String[] h : call.headers) {
            request.header(h[0], h[1]);
        }
        request.method(call.method, call.size > 0 ? HttpRequest.BodyPublishers.ofByteArray(call.body()) : HttpRequest.BodyPublishers.noBody());
        if (timeout != null) {
            request.timeout(timeout);
        }
        HttpRequest built = request.build();
        call.begin();
        CompletableFuture<HttpResponse<Void>> sent = client.sendAsync(built, response -> {
            call.status(response.statusCode());
            return HttpResponse.BodySubscribers.ofByteArrayConsumer(part -> part.ifPresent(b -> call.read(b.length)));
        });
        call.onTimeout(() -> sent.cancel(true));
        sent.whenComplete((response, error) -> {
            if (error == null) {
                call.done();
            } else {
                call.failed(error);
            }
        });
    }

    @Override
    public void close() {} // closing is not public before Java 21; the garbage collector ends the client
}
