# Ruby's Net::HTTP as programs with threads use it: an object is not for several threads, so each thread has its own, started
# once and used again. The thread that has waited longest takes the next request, as threads that wait for one queue do
# (Puma, Sidekiq). So the requests go round the connections, and their number is the highest number of requests at a time.

require "net/http"
require "openssl"
require "uri"
require_relative "kit"

class NetHTTP
  attr_reader :name, :client, :version, :order

  def initialize
    @name, @client, @version, @order = "net-http", "Net::HTTP", Net::HTTP::VERSION, :first
    @opened = []
    @lock = Mutex.new
    @generation = 0
  end

  def settings
    [
      Kit.setting("keep_alive_timeout", "duration", 2000, pool: "idle_timeout"),
      Kit.setting("open_timeout", "duration", 60_000, pool: "connect_timeout", least: 1),
      Kit.setting("read_timeout", "duration", 60_000, pool: "response_timeout", least: 1),
      Kit.setting("write_timeout", "duration", 60_000, least: 1),
      Kit.setting("max_retries", "count", 1, off: false)
    ]
  end

  def open(settings, insecure)
    @settings, @insecure = settings, insecure
    @generation += 1
  end

  def send_request(method, url, headers, body)
    uri = URI(url)
    http = mine(uri)
    http.start unless http.started?
    response = http.request(Kit.request(method, uri, headers, body))
    [response.code.to_i, response.body.to_s.bytesize]
  end

  def close
    opened = @lock.synchronize { @opened.slice!(0..) }
    opened.each do |http|
      http.finish if http.started?
    rescue IOError
      next # its thread has just closed it
    end
  end

  private

  # The object of this thread for a server.
  def mine(uri)
    key = [@generation, uri.scheme, uri.hostname, uri.port]
    objects = Thread.current[:objects]
    objects = Thread.current[:objects] = {} unless objects&.keys&.first&.first == @generation
    objects[key] ||= make(uri)
  end

  def make(uri)
    http = Net::HTTP.new(uri.hostname, uri.port, nil) # nil: no proxy from the environment
    if uri.scheme == "https"
      http.use_ssl = true
      http.verify_mode = OpenSSL::SSL::VERIFY_NONE if @insecure
    end
    @settings.each do |name, value|
      value = Kit.seconds(value) || (name == "keep_alive_timeout" ? Kit::LONGEST : nil) unless name == "max_retries"
      http.public_send("#{name}=", value)
    end
    @lock.synchronize { @opened << http }
    http
  end
end

Kit::Runner.new(NetHTTP.new).run
