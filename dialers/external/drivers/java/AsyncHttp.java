package kabench;

import io.netty.handler.codec.http.HttpHeaders;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import org.asynchttpclient.AsyncHandler;
import org.asynchttpclient.AsyncHttpClient;
import org.asynchttpclient.BoundRequestBuilder;
import org.asynchttpclient.ClientStats;
import org.asynchttpclient.DefaultAsyncHttpClientConfig;
import org.asynchttpclient.Dsl;
import org.asynchttpclient.HttpResponseBodyPart;
import org.asynchttpclient.HttpResponseStatus;
import org.asynchttpclient.ListenableFuture;

/** AsyncHttpClient (AHC). */
final class AsyncHttp implements Kit.Client {
    private final AsyncHttpClient client;
    private final Executor callers; // threads, if the client blocks its caller while no connection is free

    public static void main(String[] args) throws Exception {
        Kit.driver("async-http-client", "AsyncHttpClient", Kit.versionOf(AsyncHttpClient.class))
                .count("maxConnectionsPerHost", null, "max_conns")
                .count("maxConnections", null, "max_conns_all")
                .duration("acquireFreeChannelTimeout", null, "pending_timeout")
                .bool("keepAlive", true)
                .duration("pooledConnectionIdleTimeout", 60_000, "idle_timeout")
                .duration("connectionPoolCleanerPeriod", 100, "sweep_every")
                .duration("connectionTtl", null, "max_lifetime")
                .count("maxRequestRetry", 5, null)
                .duration("connectTimeout", 5_000, "connect_timeout")
                .duration("readTimeout", 60_000, "response_timeout")
                .duration("requestTimeout", 60_000, null)
                .gauges("active", "idle")
                .run(AsyncHttp::new);
    }

    AsyncHttp(Config config) throws Exception {
        DefaultAsyncHttpClientConfig.Builder b = Dsl.config().setCookieStore(null);
        config.on("maxConnectionsPerHost", (Integer n) -> b.setMaxConnectionsPerHost(n == null ? -1 : n));
        config.on("maxConnections", (Integer n) -> b.setMaxConnections(n == null ? -1 : n));
        Duration acquire = config.get("acquireFreeChannelTimeout");
        callers = acquire == null || acquire.isZero() ? Runnable::run : Executors.newCachedThreadPool();
        config.on("acquireFreeChannelTimeout", (Duration d) -> b.setAcquireFreeChannelTimeout(d == null ? 0 : (int) d.toMillis()));
        config.on("keepAlive", (Boolean on) -> b.setKeepAlive(on));
        config.on("pooledConnectionIdleTimeout", (Duration d) -> b.setPooledConnectionIdleTimeout(orOff(d)));
        config.on("connectionPoolCleanerPeriod", (Duration d) -> b.setConnectionPoolCleanerPeriod(orOff(d)));
        config.on("connectionTtl", (Duration d) -> b.setConnectionTtl(orOff(d)));
        config.on("maxRequestRetry", (Integer n) -> b.setMaxRequestRetry(n));
        config.on("connectTimeout", (Duration d) -> b.setConnectTimeout(d == null ? Duration.ZERO : d));
        config.on("readTimeout", (Duration d) -> b.setReadTimeout(orOff(d)));
        config.on("requestTimeout", (Duration d) -> b.setRequestTimeout(orOff(d)));
        b.setUseInsecureTrustManager(config.insecure).setDisableHttpsEndpointIdentificationAlgorithm(config.insecure);
        client = Dsl.asyncHttpClient(b);
    }

    private static Duration orOff(Duration d) {
        return d == null ? Duration.ofMillis(-1) : d;
    }

    @Override
    public void call(Call call) {
        BoundRequestBuilder request = client.prepare(call.method, call.url);
        for (String[] h : call.headers) {
            request.addHeader(h[0], h[1]);
        }
        if (call.size > 0) {
            request.setBody(call.body());
        }
        callers.execute(() -> send(call, request));
    }

    private static void send(Call call, BoundRequestBuilder request) {
        call.begin();
        try {
            ListenableFuture<Object> sent = request.execute(new Drop(call));
            call.onTimeout(() -> sent.abort(new TimedOut(0)));
        } catch (RuntimeException e) {
            call.failed(e);
        }
    }

    /** Drops the body. */
    private static final class Drop implements AsyncHandler<Object> {
        private final Call call;
        private long size;

        Drop(Call call) {
            this.call = call;
        }

        @Override
        public State onStatusReceived(HttpResponseStatus status) {
            call.status(status.getStatusCode());
            size = 0; // the client may have sent the request again after a part of a body
            return State.CONTINUE;
        }

        @Override
        public State onHeadersReceived(HttpHeaders headers) {
            return State.CONTINUE;
        }

        @Override
        public State onBodyPartReceived(HttpResponseBodyPart part) {
            size += part.length();
            return State.CONTINUE;
        }

        @Override
        public void onThrowable(Throwable e) {
            call.failed(e);
        }

        @Override
        public Object onCompleted() {
            call.read(size);
            call.done();
            return null;
        }
    }

    @Override
    public long[] gauges() {
        ClientStats s = client.getClientStats();
        return new long[] {s.getTotalActiveConnectionCount(), s.getTotalIdleConnectionCount()};
    }

    @Override
    public void close() throws IOException {
        client.close();
    }
}
