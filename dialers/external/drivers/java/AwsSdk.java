package kabench;

import java.net.URI;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.reactivestreams.Publisher;
import org.reactivestreams.Subscriber;
import org.reactivestreams.Subscription;
import software.amazon.awssdk.http.Protocol;
import software.amazon.awssdk.http.SdkHttpConfigurationOption;
import software.amazon.awssdk.http.SdkHttpFullRequest;
import software.amazon.awssdk.http.SdkHttpMethod;
import software.amazon.awssdk.http.SdkHttpResponse;
import software.amazon.awssdk.http.async.AsyncExecuteRequest;
import software.amazon.awssdk.http.async.SdkAsyncHttpClient;
import software.amazon.awssdk.http.async.SdkAsyncHttpResponseHandler;
import software.amazon.awssdk.http.async.SdkHttpContentPublisher;
import software.amazon.awssdk.http.nio.netty.NettyNioAsyncHttpClient;
import software.amazon.awssdk.http.nio.netty.ProxyConfiguration;
import software.amazon.awssdk.utils.AttributeMap;
import software.amazon.awssdk.utils.async.SimplePublisher;

/** The Netty client of the AWS SDK for Java 2, without the SDK's retries above it. */
final class AwsSdk implements Kit.Client {
    private final SdkAsyncHttpClient client;

    public static void main(String[] args) throws Exception {
        Kit.driver("aws-sdk-java-v2", "AWS SDK for Java 2 (Netty)", Kit.versionOf(NettyNioAsyncHttpClient.class))
                .count("maxConcurrency", 50, "max_conns")
                .count("maxPendingConnectionAcquires", 10_000, "pending_max")
                .duration("connectionAcquisitionTimeout", 10_000, "pending_timeout")
                .duration("connectionMaxIdleTime", 5_000, "idle_timeout")
                .bool("useIdleConnectionReaper", true)
                .duration("connectionTimeToLive", null, "max_lifetime")
                .duration("connectionTimeout", 2_000, "connect_timeout")
                .duration("readTimeout", 30_000, "response_timeout")
                .duration("writeTimeout", 30_000, null)
                .run(AwsSdk::new);
    }

    AwsSdk(Config config) throws Exception {
        NettyNioAsyncHttpClient.Builder b = NettyNioAsyncHttpClient.builder()
                .proxyConfiguration(ProxyConfiguration.builder().useSystemPropertyValues(false).useEnvironmentVariableValues(false).build());
        config.on("maxConcurrency", (Integer n) -> b.maxConcurrency(n == null ? Integer.MAX_VALUE : n));
        config.on("maxPendingConnectionAcquires", (Integer n) -> b.maxPendingConnectionAcquires(n == null ? Integer.MAX_VALUE : n));
        config.on("connectionAcquisitionTimeout", (Duration d) -> b.connectionAcquisitionTimeout(given(d)));
        config.on("connectionMaxIdleTime", (Duration d) -> {
            if (d == null) {
                b.useIdleConnectionReaper(false);
            } else {
                b.connectionMaxIdleTime(d);
            }
        });
        config.on("useIdleConnectionReaper", b::useIdleConnectionReaper);
        config.on("connectionTimeToLive", (Duration d) -> b.connectionTimeToLive(d == null ? Duration.ZERO : d));
        config.on("connectionTimeout", (Duration d) -> b.connectionTimeout(given(d)));
        config.on("readTimeout", (Duration d) -> b.readTimeout(d == null ? Duration.ZERO : d));
        config.on("writeTimeout", (Duration d) -> b.writeTimeout(d == null ? Duration.ZERO : d));
        AttributeMap more = AttributeMap.builder().put(SdkHttpConfigurationOption.TRUST_ALL_CERTIFICATES, config.insecure).build();
        client = b.protocol(Protocol.HTTP1_1).buildWithDefaults(more);
    }

    private static Duration given(Duration d) {
        if (d == null) {
            throw new IllegalArgumentException("it cannot be off; give a time");
        }
        return d;
    }

    @Override
    public void call(Call call) {
        SdkHttpFullRequest.Builder request = SdkHttpFullRequest.builder().method(SdkHttpMethod.fromValue(call.method)).uri(URI.create(call.url));
        for (String[] h : call.headers) {
            request.appendHeader(h[0], h[1]);
        }
        if (call.size > 0) { // as the SDK does above this client
            request.putHeader("Content-Length", String.valueOf(call.size));
        }
        Exchange exchange = new Exchange(call);
        AsyncExecuteRequest built = AsyncExecuteRequest.builder().request(request.build()).requestContentPublisher(exchange).responseHandler(exchange).build();
        call.begin();
        CompletableFuture<Void> sent = client.execute(built);
        call.onTimeout(() -> sent.cancel(true));
        sent.whenComplete((nothing, error) -> {
            if (error == null) {
                call.done();
            } else {
                call.failed(error);
            }
        });
    }

    @Override
    public void close() {
        client.close();
    }

    /** Gives the request's body, and drops the response's. */
    private record Exchange(Call call) implements SdkHttpContentPublisher, SdkAsyncHttpResponseHandler {
        @Override
        public Optional<Long> contentLength() {
            return Optional.of((long) call.size);
        }

        @Override
        public void subscribe(Subscriber<? super ByteBuffer> to) {
            SimplePublisher<ByteBuffer> body = new SimplePublisher<>();
            body.subscribe(to);
            if (call.size > 0) {
                body.send(ByteBuffer.wrap(call.body()).asReadOnlyBuffer());
            }
            body.complete();
        }

        @Override
        public void onHeaders(SdkHttpResponse head) {
            call.status(head.statusCode());
        }

        @Override
        public void onStream(Publisher<ByteBuffer> body) {
            body.subscribe(new Drop(call));
        }

        @Override
        public void onError(Throwable e) {} // the future has it
    }

    private record Drop(Call call) implements Subscriber<ByteBuffer> {
        @Override
        public void onSubscribe(Subscription s) {
            s.request(Long.MAX_VALUE);
        }

        @Override
        public void onNext(ByteBuffer part) {
            call.read(part.remaining());
        }

        @Override
        public void onError(Throwable e) {}

        @Override
        public void onComplete() {}
    }
}
