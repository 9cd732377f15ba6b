// The SDK centrifuge-go: takes orders on standard input (sdk_orders.mjs has them), prints one line of JSON per fact.
//
//	sdk http://HOST:PORT TOKENS [--protobuf]
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/centrifugal/centrifuge-go"
)

type values = map[string]any

var output sync.Mutex

func tell(fact string, more values) {
	line := values{"fact": fact}
	for name, value := range more {
		line[name] = value
	}
	output.Lock()
	defer output.Unlock()
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		panic(err)
	}
}

func publication(channel string, pub centrifuge.Publication) values {
	user := ""
	if pub.Info != nil {
		user = pub.Info.User
	}
	return values{"channel": channel, "offset": pub.Offset, "data": json.RawMessage(pub.Data), "by": user}
}

func fetchToken(url string) (string, error) {
	tell("token", nil)
	response, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	token, err := io.ReadAll(response.Body)
	return string(token), err
}

func connect(base, tokens string, protobuf bool) *centrifuge.Client {
	config := centrifuge.Config{
		GetToken:          func(centrifuge.ConnectionTokenEvent) (string, error) { return fetchToken(tokens) },
		MinReconnectDelay: 50 * time.Millisecond,
		MaxReconnectDelay: 500 * time.Millisecond,
	}
	url := strings.Replace(base, "http", "ws", 1) + "/connection/websocket"
	create := centrifuge.NewJsonClient
	if protobuf {
		create = centrifuge.NewProtobufClient
	}
	client := create(url, config)
	client.OnConnecting(func(e centrifuge.ConnectingEvent) { tell("connecting", values{"code": e.Code}) })
	client.OnConnected(func(centrifuge.ConnectedEvent) { tell("connected", nil) })
	client.OnDisconnected(func(e centrifuge.DisconnectedEvent) { tell("disconnected", values{"code": e.Code}) })
	client.OnSubscribed(func(e centrifuge.ServerSubscribedEvent) {
		tell("server_subscribed", values{"channel": e.Channel, "wasRecovering": e.WasRecovering, "recovered": e.Recovered})
	})
	client.OnUnsubscribed(func(e centrifuge.ServerUnsubscribedEvent) {
		tell("server_unsubscribed", values{"channel": e.Channel})
	})
	client.OnPublication(func(e centrifuge.ServerPublicationEvent) {
		tell("server_publication", publication(e.Channel, e.Publication))
	})
	return client
}

func subscribe(client *centrifuge.Client, channel string) error {
	subscription, err := client.NewSubscription(channel)
	if err != nil {
		return err
	}
	subscription.OnSubscribed(func(e centrifuge.SubscribedEvent) {
		tell("subscribed", values{"channel": channel, "wasRecovering": e.WasRecovering, "recovered": e.Recovered})
	})
	subscription.OnUnsubscribed(func(e centrifuge.UnsubscribedEvent) {
		tell("unsubscribed", values{"channel": channel, "code": e.Code})
	})
	subscription.OnPublication(func(e centrifuge.PublicationEvent) {
		tell("publication", publication(channel, e.Publication))
	})
	subscription.OnJoin(func(e centrifuge.JoinEvent) { tell("join", values{"channel": channel, "user": e.User}) })
	subscription.OnLeave(func(e centrifuge.LeaveEvent) { tell("leave", values{"channel": channel, "user": e.User}) })
	return subscription.Subscribe()
}

func answer(client *centrifuge.Client, name, first, rest string) (values, error) {
	ctx := context.Background()
	switch name {
	case "publish":
		_, err := client.Publish(ctx, first, []byte(rest))
		return values{}, err
	case "history":
		result, err := client.History(ctx, first, centrifuge.WithHistoryLimit(100))
		publications := []json.RawMessage{}
		for _, pub := range result.Publications {
			publications = append(publications, pub.Data)
		}
		return values{"publications": publications, "offset": result.Offset}, err
	case "presence":
		result, err := client.Presence(ctx, first)
		users := []string{}
		for _, info := range result.Clients {
			users = append(users, info.User)
		}
		slices.Sort(users)
		return values{"users": users}, err
	case "stats":
		result, err := client.PresenceStats(ctx, first)
		return values{"clients": result.NumClients, "users": result.NumUsers}, err
	case "rpc":
		result, err := client.RPC(ctx, first, []byte(rest))
		return values{"data": json.RawMessage(result.Data)}, err
	}
	return nil, errors.New("unknown order")
}

func obey(client *centrifuge.Client, line string) error {
	words := append(strings.SplitN(line, " ", 3), "", "")
	name, first, rest := words[0], words[1], words[2]
	switch name {
	case "connect":
		return client.Connect()
	case "disconnect":
		return client.Disconnect()
	case "subscribe":
		return subscribe(client, first)
	case "unsubscribe":
		subscription, _ := client.GetSubscription(first)
		return subscription.Unsubscribe()
	}
	result, err := answer(client, name, first, rest)
	var refused *centrifuge.Error
	if errors.As(err, &refused) {
		result = values{"code": refused.Code}
	} else if err != nil {
		return err
	} else {
		result["code"] = 0
	}
	result["to"] = name
	tell("answer", result)
	return nil
}

func main() {
	client := connect(os.Args[1], os.Args[2], slices.Contains(os.Args, "--protobuf"))
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if err := obey(client, lines.Text()); err != nil {
			panic(err)
		}
	}
}
