package kabench;

import io.netty.handler.codec.http.HttpHeaders;
import java.io.IOException;
import java.time.Duration;
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
        config.on("acquireFreeChannelTimeout", (Duration d) -> b.setAcquireFreeChannelTimeout(d == null ? 0 : (int) d.toMillis()));
        config.on("keepAlive", (Boolean on) -> b.setKeepAlive(on));
        config.on("pooledConnectionIdleTimeout", (Duration d) -> b.setPooledConnectionIdleTimeout(orOff(d)));
        config.on("connectionPoolCleanerPeriod", (Duration d) -> b.setConnectionPoolCleanerPeriod(orOff(d)));
        config.on("connectionTtl", (Duration d) -> b.setConnectionTtl(orOff(d)));
        config.on("maxRequestRetry", (Integer n) -> b.setMaxRequestRetry(n));
        config.on("connectTimeout", (Duration d) -> b.setConnectTimeout(d == null ? Duration.ZERO : d));
        config.on("readTimeout", (Duration d) -> b.setReadTimeout(orOff(d)));
        config.on("requestTimeout", (Duration d) -> b.setRequestTimeout(orOff(d)));
        client = Dsl.asyncHttpClient(b.setUseInsecureTrustManager(config.insecure));
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
        call.begin();
        ListenableFuture<Object> sent = request.execute(new Drop(call));
        call.onTimeout(() -> sent.abort(new TimedOut(0)));
    }

    /** Drops the body. */
    private static final class Drop implements AsyncHandler<Object> {
        private final Call call;

        Drop(Call call) {
            this.call = call;
        }

        @Override
        public State onStatusReceived(HttpResponseStatus status) {
            call.status(status.getStatusCode());
            return State.CONTINUE;
        }

        @Override
        public State onHeadersReceived(HttpHeaders headers) {
            return State.CONTINUE;
        }

        @Override
        public State onBodyPartReceived(HttpResponseBodyPart part) {
            call.read(part.length());
            return State.CONTINUE;
        }

        @Override
        public void onThrowable(Throwable e) {
            call.failed(e);
        }

        @Override
        public Object onCompleted() {
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
