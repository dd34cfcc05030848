// Package wecom delivers to WeCom (企业微信) groups through group robots, and to
// members through a self-built app.
//
// A portable message becomes markdown, in which members are mentioned by their
// userid and a level has a colour; where somebody can be called by phone number
// only, it becomes text, the one form that can do that. A native object is sent
// as it is after its shape and sizes were checked. What an app sends to a member
// is made the same way, in less room, mentions nobody, and ends with a mark of
// its delivery. README.md says what an operator sees.
//
// What is known of the vendor comes from its developer documentation
// (developer.work.weixin.qq.com): 91770 "消息推送配置说明" for the robot, 91039
// "获取access_token", 95402 and 95895 for the look-ups and 90236 "发送应用消息" for
// the app, and 90313 for the error codes. A comment says so where something was
// only observed.
package wecom
