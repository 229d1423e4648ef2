package kabench;

import java.nio.ByteBuffer;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.concurrent.Future;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import org.apache.hc.client5.http.async.methods.AbstractBinResponseConsumer;
import org.apache.hc.client5.http.impl.async.CloseableHttpAsyncClient;
import org.apache.hc.client5.http.impl.async.HttpAsyncClientBuilder;
import org.apache.hc.client5.http.impl.async.HttpAsyncClients;
import org.apache.hc.client5.http.impl.nio.PoolingAsyncClientConnectionManager;
import org.apache.hc.client5.http.impl.nio.PoolingAsyncClientConnectionManagerBuilder;
import org.apache.hc.client5.http.ssl.DefaultClientTlsStrategy;
import org.apache.hc.client5.http.ssl.NoopHostnameVerifier;
import org.apache.hc.core5.concurrent.FutureCallback;
import org.apache.hc.core5.http.ContentType;
import org.apache.hc.core5.http.HttpResponse;
import org.apache.hc.core5.http.nio.AsyncRequestProducer;
import org.apache.hc.core5.http.nio.support.AsyncRequestBuilder;
import org.apache.hc.core5.io.CloseMode;
import org.apache.hc.core5.pool.PoolStats;

/** Apache HttpClient 5, the asynchronous client. */
final class Hc5Async implements Kit.Client {
    private final CloseableHttpAsyncClient client;
    private final PoolingAsyncClientConnectionManager pool;

    public static void main(String[] args) throws Exception {
        Kit kit = Kit.driver("apache-hc5-async", "Apache HttpClient 5 (async)", Kit.versionOf(HttpAsyncClients.class));
        Hc5Settings.describe(kit, null).run(Hc5Async::new);
    }

    Hc5Async(Config config) throws Exception {
        PoolingAsyncClientConnectionManagerBuilder b = PoolingAsyncClientConnectionManagerBuilder.create()
                .setMaxConnPerRoute(Hc5Settings.most(config, "maxConnPerRoute"))
                .setMaxConnTotal(Hc5Settings.most(config, "maxConnTotal"))
                .setConnPoolPolicy(Hc5Settings.order(config))
                .setPoolConcurrencyPolicy(Hc5Settings.policy(config))
                .setDefaultConnectionConfig(Hc5Settings.connection(config));
        if (config.insecure) {
            SSLContext any = SSLContext.getInstance("TLS");
            any.init(null, new TrustManager[] {new TrustAll()}, new SecureRandom());
            b.setTlsStrategy(new DefaultClientTlsStrategy(any, NoopHostnameVerifier.INSTANCE));
        }
        pool = b.build();
        HttpAsyncClientBuilder c = HttpAsyncClients.custom().setConnectionManager(pool).setDefaultRequestConfig(Hc5Settings.request(config))
                .disableRedirectHandling().disableCookieManagement();
        config.on("evictIdleConnections", (Duration d) -> {
            if (d != null) {
                c.evictIdleConnections(Hc5Settings.time(d));
            }
        });
        config.on("evictExpiredConnections", (Boolean on) -> {
            if (on) {
                c.evictExpiredConnections();
            }
        });
        config.on("disableAutomaticRetries", (Boolean on) -> {
            if (on) {
                c.disableAutomaticRetries();
            }
        });
        client = c.build();
        client.start();
    }

    @Override
    public void call(Call call) {
        AsyncRequestBuilder request = AsyncRequestBuilder.create(call.method).setUri(call.url);
        for (String[] h : call.headers) {
            request.addHeader(h[0], h[1]);
        }
        if (call.size > 0) {
            request.setEntity(call.body(), null);
        }
        AsyncRequestProducer built = request.build();
        call.begin();
        Future<Void> sent = client.execute(built, new Drop(call), new FutureCallback<>() {
            @Override
            public void completed(Void nothing) {
                call.done();
            }

            @Override
            public void failed(Exception e) {
                call.failed(e);
            }

            @Override
            public void cancelled() {
                call.failed(new java.util.concurrent.CancellationException());
            }
        });
        call.onTimeout(() -> sent.cancel(true));
    }

    /** Drops the body. */
    private static final class Drop extends AbstractBinResponseConsumer<Void> {
        private final Call call;

        Drop(Call call) {
            this.call = call;
        }

        @Override
        protected void start(HttpResponse head, ContentType type) {
            call.status(head.getCode());
        }

        @Override
        protected int capacityIncrement() {
            return Integer.MAX_VALUE;
        }

        @Override
        protected void data(ByteBuffer part, boolean end) {
            call.read(part.remaining());
            part.position(part.limit());
        }

        @Override
        protected Void buildResult() {
            return null;
        }

        @Override
        public void releaseResources() {}
    }

    @Override
    public long[] gauges() {
        PoolStats s = pool.getTotalStats();
        return new long[] {s.getLeased(), s.getAvailable(), s.getPending()};
    }

    @Override
    public void close() {
        client.close(CloseMode.IMMEDIATE);
    }
}
