package kabench;

import java.io.IOException;
import java.io.InputStream;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import okhttp3.Callback;
import okhttp3.ConnectionPool;
import okhttp3.Dispatcher;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.RequestBody;
import okhttp3.Response;
import okhttp3.internal.http.HttpMethod;

/** OkHttp. Calls go through its Dispatcher (enqueue), or with "execute" past it. */
final class OkHttp implements Kit.Client {
    private static boolean execute;

    private final OkHttpClient client;
    private final Dispatcher dispatcher;
    private final ConnectionPool pool;

    public static void main(String[] args) throws Exception {
        execute = args.length > 1 && args[1].equals("execute");
        Kit kit = Kit.driver(args[0], "OkHttp", okhttp3.OkHttp.VERSION);
        if (execute) {
            kit.blocking();
        } else {
            kit.count("maxRequestsPerHost", 5, "max_conns").count("maxRequests", 64, "max_conns_all");
        }
        kit.count("maxIdleConnections", 5, "max_idle_all")
                .duration("keepAliveDuration", 300_000, "idle_timeout")
                .bool("retryOnConnectionFailure", true)
                .duration("connectTimeout", 10_000, "connect_timeout")
                .duration("readTimeout", 10_000, "response_timeout")
                .duration("writeTimeout", 10_000, null)
                .duration("callTimeout", null, null)
                .gauges("active", "idle", "pending")
                .run(OkHttp::new);
    }

    OkHttp(Config config) throws Exception {
        OkHttpClient.Builder builder = new OkHttpClient.Builder().followRedirects(false).followSslRedirects(false);
        dispatcher = new Dispatcher();
        if (!execute) {
            config.on("maxRequestsPerHost", (Integer n) -> dispatcher.setMaxRequestsPerHost(orMost(n)));
            config.on("maxRequests", (Integer n) -> dispatcher.setMaxRequests(orMost(n)));
        }
        Integer idle = config.get("maxIdleConnections");
        Duration keep = config.get("keepAliveDuration");
        pool = new ConnectionPool(orMost(idle), keep == null ? Long.MAX_VALUE : keep.toNanos(), TimeUnit.NANOSECONDS);
        config.on("retryOnConnectionFailure", builder::retryOnConnectionFailure);
        config.on("connectTimeout", (Duration d) -> builder.connectTimeout(orZero(d)));
        config.on("readTimeout", (Duration d) -> builder.readTimeout(orZero(d)));
        config.on("writeTimeout", (Duration d) -> builder.writeTimeout(orZero(d)));
        config.on("callTimeout", (Duration d) -> builder.callTimeout(orZero(d)));
        if (config.insecure) {
            SSLContext any = SSLContext.getInstance("TLS");
            any.init(null, new TrustManager[] {new TrustAll()}, new SecureRandom());
            builder.sslSocketFactory(any.getSocketFactory(), new TrustAll()).hostnameVerifier((host, session) -> true);
        }
        client = builder.dispatcher(dispatcher).connectionPool(pool).build();
    }

    private static int orMost(Integer n) {
        return n == null ? Integer.MAX_VALUE : n;
    }

    private static Duration orZero(Duration d) {
        return d == null ? Duration.ZERO : d;
    }

    @Override
    public void call(Call call) throws IOException {
        Request.Builder request = new Request.Builder().url(call.url);
        for (String[] h : call.headers) {
            request.addHeader(h[0], h[1]);
        }
        boolean body = call.size > 0 || HttpMethod.requiresRequestBody(call.method);
        okhttp3.Call ours = client.newCall(request.method(call.method, body ? RequestBody.create(call.body(), null) : null).build());
        call.onTimeout(ours::cancel);
        call.begin();
        if (execute) {
            drop(call, ours.execute());
            return;
        }
        ours.enqueue(new Callback() {
            @Override
            public void onResponse(okhttp3.Call c, Response response) {
                try {
                    drop(call, response);
                } catch (IOException e) {
                    call.failed(e);
                }
            }

            @Override
            public void onFailure(okhttp3.Call c, IOException e) {
                call.failed(e);
            }
        });
    }

    private static void drop(Call call, Response response) throws IOException {
        call.status(response.code());
        try (InputStream in = response.body().byteStream()) {
            byte[] part = new byte[8192];
            for (int n = in.read(part); n >= 0; n = in.read(part)) {
                call.read(n);
            }
        }
        call.done();
    }

    @Override
    public long[] gauges() {
        int idle = pool.idleConnectionCount();
        return new long[] {pool.connectionCount() - idle, idle, dispatcher.queuedCallsCount()};
    }

    @Override
    public void close() {
        dispatcher.cancelAll();
        dispatcher.executorService().shutdown();
        pool.evictAll();
    }
}
